"""``python -m tests.bench.our_crawl POSTS WORK RATE``: the crawl stage's work without its tracking.

From a table of posts to Parquet shards in ``WORK/raw``, remembering what is done in ``WORK/state``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from crawl.outcomes import Outcome
from crawl.run import crawl
from crawl.settings import CrawlSettings
from crawl.web.session import Session
from pipeline.core.exclude import Exclusions
from pipeline.crawl.raw import Tally, store

CONCURRENCY = 16  # the fastest of 4, 8, 16, 32 and 64 on two cores
SHARD_MB = 256  # as in params.yaml


def main(posts_file: Path, work: Path, rate: float) -> None:
    """Crawl. Raises SystemExit unless every post came back as an image."""
    posts = pd.read_parquet(posts_file)
    settings = CrawlSettings(rate=rate, concurrency=CONCURRENCY, allow_private_hosts=("127.0.0.1",))
    tally = Tally()
    out = work / "raw"
    out.mkdir(parents=True, exist_ok=True)
    with Session(settings) as session:
        results = crawl(posts, settings, work / "state", session)
        store(results, out, Exclusions(), SHARD_MB, tally)
    if tally.outcomes != {Outcome.OK: len(posts)}:
        raise SystemExit(f"not all {len(posts)} posts came back: {dict(tally.outcomes)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))

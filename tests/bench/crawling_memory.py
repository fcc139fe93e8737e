"""Peak memory of writing the raw shards: ``python -m tests.bench.crawling_memory [POSTS [KB]]``.

Stands in for the downloads with a generator, so that what is measured is the stage's own writing.
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crawl.outcomes import Outcome
from crawl.posts import Post
from crawl.run import Result
from crawl.sources.base import BATCH
from pipeline.core import tables
from pipeline.core.exclude import Exclusions
from pipeline.crawl.raw import Tally, store


def fake_results(posts: int, kilobytes: int) -> Iterator[Result]:
    """Images of noise, which does not compress, of two sources; every hundredth post is gone."""
    rng = np.random.default_rng(0)
    for number in range(posts):
        post = Post(
            url=f"http://images.example/original/{number:040d}.jpg",
            source=f"source{number // BATCH % 2}",
            post_id=str(number),
            tags=" ".join(f"tag_number_{tag}" for tag in range(number % 30)),
            batch=number // BATCH // 2,
        )
        if number % 100:
            data = rng.bytes(kilobytes * 1000)
            digests = [hashlib.new(name, data).hexdigest() for name in ("sha256", "md5")]
            yield Result(post, Outcome.OK, "", data, *digests, width=100, height=100)
        else:
            yield Result(post, Outcome.GONE, "HTTP 404", None, "", "", None, None)


def writing_peak(posts: int, kilobytes: int) -> tuple[float, float]:
    """Peak RSS in MiB of a process that writes the shards of ``posts``: before and at the end."""
    command = [sys.executable, "-m", __spec__.name, "--here", str(posts), str(kilobytes)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = map(float, printed.split())
    return before, after


def _write_here(posts: int, kilobytes: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        store(fake_results(posts, kilobytes), Path(folder), Exclusions(), 256, tally)
        tables.write_file(Path(folder) / "posts.parquet", tally.frame())
    print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(posts: int = 200_000, kilobytes: int = 5) -> None:
    """Measure in a process of its own and print."""
    before, after = writing_peak(posts, kilobytes)
    print(
        f"{posts} posts of {kilobytes} KB: peak {after:.0f} MiB, {before:.0f} MiB of it "
        "before the first post"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        _write_here(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))

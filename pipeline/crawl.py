"""``crawl``: download the posts and keep their original bytes in Parquet shards.

Every post ends in one counted outcome; ``failures.parquet`` lists all that are not ``ok``. What is
complete is remembered outside DVC's outs, so that a killed crawl goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from crawl.outcomes import Outcome
from crawl.run import Result, crawl
from crawl.session import Session
from crawl.settings import CrawlSettings
from pipeline import params, stage, tables, tracking
from pipeline.demo.site import connections
from pipeline.errors import StageError
from pipeline.paths import POSTS, RAW

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # sha256 of the bytes
        ("image", tables.IMAGE),
        *((name, pa.string()) for name in ("source", "url", "post_id", "licence", "artist")),
        *((name, pa.string()) for name in ("source_link", "tags", "rating")),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)
FAILURES = ["source", "post_id", "url", "outcome", "reason"]


@dataclass
class Tally:
    """Counts every outcome while results pass through, and lists those that are not ok."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, ...]] = field(default_factory=list)

    def images(self, results: Iterable[Result]) -> Iterator[dict[str, Any]]:
        """Rows of `SCHEMA` for the posts that came back as images."""
        for result in results:
            post, outcome = result.post, result.outcome
            self.outcomes[outcome.value] += 1
            if outcome is Outcome.OK:
                yield {
                    **{name: getattr(post, name) for name in SCHEMA.names if hasattr(post, name)},
                    "id": result.sha256,
                    "image": {"bytes": result.data, "path": None},
                    "width": result.width,
                    "height": result.height,
                }
            else:
                self.failures.append(
                    (post.source, post.post_id, post.url, outcome.value, result.reason)
                )


def main() -> None:
    """Download all posts."""
    section, web = params.load(params.Crawl), params.load(params.Web)
    discover = params.load(params.Discover)
    settings = CrawlSettings(**web.model_dump(), **section.model_dump(exclude={"shard_mb"}))
    posts = tables.read_frame(POSTS)
    state_dir = stage.cache_dir("crawl")
    with tracking.stage_run("crawl", params.plain(section, web), inputs=[POSTS]) as run:
        tally = Tally()
        with (
            tables.new_folder(RAW) as out,
            connections(discover.inputs) as connect_to,
            Session(settings, connect_to) as session,
        ):
            results = crawl(posts, settings, state_dir, session)
            kept = tables.write_shards(out, "raw", tally.images(results), SCHEMA, section.shard_mb)
            failures = pd.DataFrame(tally.failures, columns=FAILURES)
            tables.write_file(out / "failures.parquet", failures)
            if not kept:
                raise StageError(
                    f"none of {len(posts)} posts came back as an image "
                    f"({dict(tally.outcomes)}): check web and crawl in params.yaml"
                )
        outcomes = {outcome.value: tally.outcomes[outcome.value] for outcome in Outcome}
        metrics = {"posts": len(posts), "outcomes": outcomes}
        stage.write_json(stage.METRICS / "crawl.json", metrics)
        run.metrics(metrics)
        run.artifact(RAW / "failures.parquet")


if __name__ == "__main__":
    stage.run(main)

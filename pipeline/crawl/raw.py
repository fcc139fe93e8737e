"""``data/raw``: the shards of original bytes; and the list of posts that gave none.

A shard holds one batch of one source's posts: more posts are more shards, and those that were
there stay as they are.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from crawl.errors import CrawlError
from crawl.outcomes import SUCCESS, Outcome, grouped, kind
from crawl.posts import Post, iterate_posts
from crawl.run import Result
from pipeline.core import tables
from pipeline.core.exclude import Exclusions

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # sha256 of the bytes
        ("image", tables.IMAGE),
        *((name, pa.string()) for name in ("source", "url", "post_id", "licence", "artist")),
        *((name, pa.string()) for name in ("source_link", "tags", "rating")),
        ("created_at", pa.timestamp("us", "UTC")),
        ("md5", pa.string()),  # of the bytes
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("batch", pa.int32()),  # with the source it names the shard, here and in what follows
    ]
)
COLUMNS = ["source", "post_id", "url", "outcome", "reason"]  # of the list of failures


@dataclass
class Tally:
    """Counts every outcome and lists those that are not ok."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, post: Post, outcome: Outcome, reason: str) -> None:
        """Count the end of one post."""
        self.outcomes[outcome.value] += 1
        if outcome is not Outcome.OK:
            self.failures.append((post.source, post.post_id, post.url, outcome.value, reason))

    def reasons(self) -> list[tuple[int, str]]:
        """How often each kind of failure was met, and the first of it."""
        quiet = (*SUCCESS, Outcome.EXCLUDED)
        failed = (row for row in self.failures if row[3] not in quiet)
        return grouped(f"{outcome}: {reason}" for *_, outcome, reason in failed)

    def save(self, path: Path) -> None:
        """Write the failures as CSV, the frequent kinds of reason first."""
        kinds = {kind(reason): -times for times, reason in grouped(row[4] for row in self.failures)}
        rows = sorted(self.failures, key=lambda row: kinds[kind(row[4])])
        table = pd.DataFrame(rows, columns=COLUMNS, dtype="str").to_csv(index=False)
        path.write_bytes(table.encode(errors="backslashreplace"))

    def frame(self) -> pd.DataFrame:
        """The failures, with the columns `COLUMNS`."""
        return pd.DataFrame(self.failures, columns=COLUMNS, dtype="str")


@contextmanager
def told(tally: Tally, path: Path) -> Iterator[None]:
    """Write why posts failed to ``path``, a table for a person, also when the crawl within fails;
    say on standard error how often which kind of reason was met.

    A crawl that fails leaves ``data/dropped`` as it was: that belongs to the images beside it.
    """
    try:
        yield
    except CrawlError as error:
        tally.save(path)
        raise CrawlError(f"{error}; {path} lists the posts") from None
    tally.save(path)
    for times, reason in tally.reasons():
        print(f"crawl: {times:,} × {reason}", file=sys.stderr)


def drop_excluded(posts: pd.DataFrame, exclude: Exclusions, tally: Tally) -> pd.DataFrame:
    """The posts that are not excluded; discover drops them too, but may be frozen or older."""
    excluded = exclude.mask(posts)
    if not excluded.any():
        return posts
    for post in iterate_posts(posts[excluded]):
        tally.add(post, Outcome.EXCLUDED, "in params' exclude")
    return posts[~excluded].reset_index(drop=True)


def store(
    results: Iterable[Result], folder: Path, exclude: Exclusions, shard_mb: int, tally: Tally
) -> None:
    """Write the images among ``results``, in table order, to ``raw-<source>-<batch>.parquet`` ….

    A batch of more than ``shard_mb`` MB goes on in ``raw-<source>-<batch>_01.parquet``. At most
    one shard is held in memory.
    """
    images = _images(results, exclude, tally)
    for (source, batch), group in groupby(images, key=lambda image: image[:2]):
        names = tables.continued(f"raw-{source}-{batch:05d}")
        rows = (row for _, _, row in group)
        tables.write_shards(folder, names, rows, SCHEMA, shard_mb)


def _images(
    results: Iterable[Result], exclude: Exclusions, tally: Tally
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Source, batch and row of `SCHEMA` of each post that came back as an image."""
    for result in results:
        post, outcome, reason = result.post, result.outcome, result.reason
        if exclude.names(result.sha256, result.md5):
            outcome, reason = Outcome.EXCLUDED, "in params' exclude"
        tally.add(post, outcome, reason)
        if outcome is Outcome.OK:
            row = {
                **{name: getattr(post, name) for name in SCHEMA.names if hasattr(post, name)},
                "id": result.sha256,
                "image": {"bytes": result.data, "path": None},
                "md5": result.md5,
                "width": result.width,
                "height": result.height,
            }
            yield post.source, post.batch, row

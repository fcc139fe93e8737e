"""Finding an image's rows in all tables of the pipeline that are here, by any of its names.

Columns are read as asked for, the images never.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from pipeline.core.errors import StageError
from pipeline.core.paths import ANIME, DROPPED, FACES, PHOTOS, POSTS, RAW, SPLITS

HEX = re.compile("[0-9a-f]{6,64}")  # an id, or as much of one as stands for it
SHARD = "__filename"  # what PyArrow calls the column with a row's shard
MOST_LISTED = 5  # candidates for an ambiguous name
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The shards of a table, the stage that writes them, and what DVC calls them."""

    stage: str
    path: Path
    pattern: str = ""  # of the shards, where ``path`` is a folder

    def shards(self) -> list[str]:
        """The files; none when the table is not here."""
        found = self.path.glob(self.pattern) if self.pattern else [self.path]
        return sorted(shard.as_posix() for shard in found if shard.is_file())

    def columns(self) -> set[str]:
        """Names of the columns; none when the table is not here."""
        shards = self.shards()
        return set(ds.dataset(shards[:1]).schema.names) if shards else set()

    def rows(self, condition: pc.Expression) -> list[Row]:
        """The rows for which ``condition`` is true, with their shard's path.

        The image is left out, and what is null: photos and drawings have all columns of both.
        """
        shown = [*sorted(self.columns() - {"image"}), SHARD]
        rows = ds.dataset(self.shards()).to_table(shown, filter=condition).to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in rows]

    def where(self, **values: str) -> list[Row]:
        """The rows that have all these values; none when the table lacks such a column."""
        if not values.keys() <= self.columns():
            return []
        equal = [ds.field(name) == value for name, value in values.items()]
        return self.rows(reduce(and_, equal))


# From the last stage to the first: of several rows the most processed one is found first.
DRAWINGS = [
    Table("split", SPLITS, "*/anime-*.parquet"),
    Table("dedupe", ANIME, "anime-*.parquet"),
    DUPLICATES := Table("dedupe", DROPPED / "anime.parquet"),
    Table("faces", FACES, "faces-*.parquet"),
    ORIGINALS := Table("crawl", RAW, "raw-*.parquet"),
    FAILURES := Table("crawl", DROPPED / "posts.parquet"),
    Table("discover", POSTS),
]
PHOTOGRAPHS = [
    Table("split", SPLITS, "*/photos-*.parquet"),
    Table("celeba", PHOTOS, "photos-*.parquet"),
]


def find(name: str) -> Row:
    """The most processed row of the image ``name``: see ``provenance.trace`` for its names.

    Of a post, which may have several images, just ``source`` and ``post_id``. Raises
    StageError when no image, or more than one, has that name.
    """
    tables = [*DRAWINGS, *PHOTOGRAPHS] if name.strip() else []  # nothing is the md5 of many
    found = [row for table in tables for row in _named(table, name)]
    if not found:
        raise StageError(_unknown(name))
    ids = {row["id"] for row in found if row.get("id", "").startswith(name)}
    # Two posts may have the same bytes, or the same face in other ones: its id is one name.
    meant = ids or {post_name(row) for row in found if "post_id" in row}
    if len(meant) > 1:
        listed = ", ".join(sorted(meant)[:MOST_LISTED]) + (", …" * (len(meant) > MOST_LISTED))
        raise StageError(f"'{name}' may be {len(meant)} images, name one of them: {listed}")
    if ids:
        return next(row for row in found if row.get("id") in ids)
    row = found[0]
    return row if "file" in row else {name: row[name] for name in ("source", "post_id")}


def absent(tables: Iterable[Table]) -> str:
    """Which tables are not here and how to get them, or an empty string."""
    missing = {table.path.as_posix(): table.stage for table in tables if not table.shards()}
    if not missing:
        return ""
    stages = dict.fromkeys(reversed(missing.values()))
    return f"not here: `dvc pull {' '.join(missing)}` or `dvc repro {' '.join(stages)}`"


def post_name(row: Row) -> str:
    """``<source>/<post id>``, as exclude.images names a post."""
    return f"{row['source']}/{row['post_id']}"


def _named(table: Table, name: str) -> list[Row]:
    columns = table.columns()
    source, _, post_id = name.partition("/")
    same = [ds.field(column) == name for column in ("url", "file", "md5") if column in columns]
    if {"source", "post_id"} <= columns:
        same.append((ds.field("source") == source) & (ds.field("post_id") == post_id))
    if "id" in columns and HEX.fullmatch(name):
        same.append(pc.starts_with(ds.field("id"), name))
    return table.rows(reduce(or_, same)) if same else []


def _unknown(name: str) -> str:
    if missing := absent([*DRAWINGS, *PHOTOGRAPHS]):
        return f"no image '{name}' in the tables that are here; {missing}"
    return (
        f"no image '{name}' in any table: give an id or 6 or more of its first digits, an md5, "
        "source/post-id, a URL, or the file name of a photo"
    )

"""The table of posts: one row an image, the lock file for the web."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from datetime import datetime

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Post:
    """One image somewhere. Empty strings and None stand for what the source does not state."""

    url: str  # of the original image; file:<path>#<member> for a member of an archive
    source: str  # name of the declared source
    post_id: str
    md5: str = ""  # hex, of the bytes at url, as the site states it
    width: int | None = None  # pixels
    height: int | None = None
    rating: str = ""  # general, or empty where a source has no ratings
    tags: str = ""  # separated by spaces
    artist: str = ""
    licence: str = ""
    source_link: str = ""  # where the site says that it has the image from
    created_at: datetime | None = None  # aware
    batch: int = 0  # which shard it goes to: its place in the listing of its source, in steps


DTYPES = {field.name: "str" for field in fields(Post)} | {
    "width": "Int32",
    "height": "Int32",
    "created_at": "datetime64[us, UTC]",
    "batch": "int32",
}
_ORDER = ["batch", "source", "post_id"]  # of the table: sources in turns, so hosts share the work
_CHUNK = 1000  # rows turned into Posts at once, so that a long table is never held twice


def posts_frame(posts: Iterable[Post]) -> pd.DataFrame:
    """Table of ``posts``: columns and dtypes of ``DTYPES``, sorted by (batch, source, post_id)."""
    rows = [astuple(post) for post in posts]
    frame = pd.DataFrame(rows, columns=list(DTYPES), dtype=object)
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    frame = frame.astype(DTYPES)
    return frame.sort_values(_ORDER, kind="stable", ignore_index=True)


def iterate_posts(frame: pd.DataFrame) -> Iterator[Post]:
    """The rows of a table made by ``posts_frame`` (and perhaps stored since), in order."""
    for start in range(0, len(frame), _CHUNK):
        chunk = frame.iloc[start : start + _CHUNK][list(DTYPES)].astype(object)
        columns = [chunk[name].where(chunk[name].notna(), None).tolist() for name in DTYPES]
        for values in zip(*columns, strict=True):
            yield Post(**dict(zip(DTYPES, values, strict=True)))

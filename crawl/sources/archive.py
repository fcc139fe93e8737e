"""Existing sets of images: a zip file or a folder, perhaps with a table of tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from crawl.archives import image_members, member_url
from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.session import Session
from crawl.sources.base import Source, register


@register("archive")
@dataclass(frozen=True, kw_only=True)
class Archive(Source):
    """``path``: a zip file or a folder; ``tags``: a CSV file.

    The first column of ``tags`` is a file name; each other column gives one tag,
    ``<value>_<column>``: ``hair`` = blonde becomes ``blonde_hair``.
    """

    path: Path
    tags: Path | None = None

    is_local: ClassVar[bool] = True

    @property
    def has_ratings(self) -> bool:
        return False

    def candidates(self, session: Session) -> Iterator[Post]:
        """The image members, sorted by name. ``session`` is not used: nothing is asked."""
        tags = read_tags(self.name, self.tags) if self.tags else {}
        members = image_members(self.path)
        if not members:
            raise SourceError(self.name, str(self.path), "holds no image")
        for member in members:
            yield Post(
                url=member_url(self.path, member),
                source=self.name,
                post_id=member,
                tags=tags.get(PurePosixPath(member).name, ""),
                licence=self.licence,
            )


def read_tags(source: str, path: Path) -> dict[str, str]:
    """File name → its tags, separated by spaces. Raises CrawlError when ``path`` is no table."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise CrawlError(f"source '{source}': {path} does not exist: correct key 'tags'") from None
    except (ValueError, OSError) as error:
        raise SourceError(source, str(path), f"is not a CSV table: {error}") from None
    names = table.iloc[:, 0].map(lambda name: PurePosixPath(name).name)
    tags = {}
    for name, values in zip(names, table.iloc[:, 1:].to_dict("records"), strict=True):
        pairs = [(str(value).strip(), str(column)) for column, value in values.items()]
        words = [f"{value}_{column}" for value, column in pairs if value]
        tags[name] = " ".join("_".join(word.split()) for word in words)
    return tags

"""Existing sets of images: an archive, a folder or Parquet files, perhaps with tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pandas as pd

from crawl.archives.containers import Container
from crawl.archives.parquet import Parquet
from crawl.archives.reader import (
    DAMAGED,
    find_file,
    image_members,
    member_url,
    open_archive,
)
from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources.base import Source, register
from crawl.sources.listing import ListedPage
from crawl.web.session import Session

_ADVICE = "correct it, or put the file there"


@register("archive")
@dataclass(frozen=True, kw_only=True)
class Archive(Source):
    """``path``: a folder, or a zip, tar (.gz, .bz2, .xz) or Parquet file, or a folder of Parquet
    files.

    ``tags``: a CSV file. Its first column is a file name; each other column gives one tag,
    ``<value>_<column>``: ``hair`` = blonde becomes ``blonde_hair``.

    ``image`` and ``tags_column``, of Parquet files: the column of the images, binary or the
    ``struct{bytes, path}`` of Hugging Face, and one of tags, strings or lists of strings.
    """

    path: Path
    tags: Path | None = None
    image: str = "image"
    tags_column: str = ""

    is_local: ClassVar[bool] = True

    @property
    def has_ratings(self) -> bool:
        return False

    def located(self, folder: Path) -> Archive:
        """Raises CrawlError when ``path`` or ``tags`` does not exist."""
        where = f"source '{self.name}': key"
        path = find_file(self.path, folder, f"{where} 'path'", _ADVICE)
        tags = self.tags and find_file(self.tags, folder, f"{where} 'tags'", _ADVICE)
        return replace(self, path=path, tags=tags)

    def pages(self, session: Session, start: Any) -> Iterator[ListedPage]:
        """One page: the images, sorted by name. Nothing is asked."""
        yield ListedPage(str(self.path), self._entries())

    def _entries(self) -> Iterator[Post]:
        empty = True
        try:
            for member, tags in self._members():
                empty = False
                yield Post(
                    url=member_url(self.path, member),
                    source=self.name,
                    # A file's name need not be text, a cell of a table must be.
                    post_id=member.encode(errors="backslashreplace").decode(),
                    tags=tags,
                    licence=self.licence,
                )
        except DAMAGED as error:
            reason = f"is damaged, get it again: {error}"
            raise SourceError(self.name, str(self.path), reason) from None
        if empty:
            raise SourceError(self.name, str(self.path), "holds no image")

    def _members(self) -> Iterator[tuple[str, str]]:
        """(name, tags) of each image."""
        archive = open_archive(self.path)
        return self._rows(archive) if isinstance(archive, Parquet) else self._files(archive)

    def _files(self, archive: Container) -> Iterator[tuple[str, str]]:
        if self.tags_column:
            raise CrawlError(
                f"source '{self.name}': key 'tags_column' is for Parquet files: give 'tags', a "
                "CSV file, in its place"
            )
        tags = read_tags(self.name, self.tags) if self.tags else {}
        for name in image_members(archive):
            yield name, tags.get(PurePosixPath(name).name, "")

    def _rows(self, archive: Parquet) -> Iterator[tuple[str, str]]:
        if self.tags:
            raise CrawlError(
                f"source '{self.name}': key 'tags' is for named files: give 'tags_column' in its "
                "place"
            )
        return archive.rows(self.image, self.tags_column)


def read_tags(source: str, path: Path) -> dict[str, str]:
    """File name → its tags, separated by spaces. Raises CrawlError when ``path`` is no table."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise SourceError(source, str(path), f"is not a CSV table: {error}") from None
    names = table.iloc[:, 0].map(lambda name: PurePosixPath(name).name)
    tags = {}
    for name, values in zip(names, table.iloc[:, 1:].to_dict("records"), strict=True):
        pairs = [(str(value).strip(), str(column)) for column, value in values.items()]
        words = [f"{value}_{column}" for value, column in pairs if value]
        tags[name] = " ".join("_".join(word.split()) for word in words)
    return tags

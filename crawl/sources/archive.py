"""Existing sets of images: an archive, a folder or Parquet files, perhaps with tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from crawl.archives.containers import Container
from crawl.archives.parquet import Parquet
from crawl.archives.reader import (
    DAMAGED,
    find_file,
    member_url,
    members,
    open_archive,
)
from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources.base import Source, register
from crawl.sources.listing import Entry, ListedPage, Unfit
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

    def _entries(self) -> Iterator[Entry]:
        """What is no image is told of first: it is counted also where ``limit`` ends the rest."""
        empty = True
        try:
            archive = open_archive(self.path)
            found = self._rows(archive) if isinstance(archive, Parquet) else self._files(archive)
            for entry in found:
                empty = empty and isinstance(entry, Unfit)
                yield entry if isinstance(entry, Unfit) else self._post(*entry)
        except DAMAGED as error:
            reason = f"is damaged, get it again: {error}"
            raise SourceError(self.name, str(self.path), reason) from None
        if empty:
            raise SourceError(self.name, str(self.path), "holds no image")

    def _post(self, member: str, tags: str) -> Post:
        return Post(
            url=member_url(self.path, member),
            source=self.name,
            post_id=_text(member),
            tags=tags,
            licence=self.licence,
        )

    def _files(self, archive: Container) -> Iterator[Unfit | tuple[str, str]]:
        """What is no image, then (name, tags) of each image."""
        if self.tags_column:
            raise CrawlError(
                f"source '{self.name}': key 'tags_column' is for Parquet files: give 'tags', a "
                "CSV file, in its place"
            )
        found = members(archive)
        for name in found.others:
            reason = f"no picture: '{_text(name)}'"
            yield Unfit(str(self.path), reason, "dropped_not_an_image")
        tags = self._tags(found.images)
        yield from ((name, tags.get(name, "")) for name in found.images)

    def _tags(self, names: list[str]) -> dict[str, str]:
        """Tags by name of a member. Raises SourceError where the table knows none of ``names``."""
        if not self.tags:
            return {}
        table = read_tags(self.name, self.tags)
        tags = {name: row for name in names if (row := _row_of(name, table)) is not None}
        if names and not tags:
            reason = (
                f"none of its {len(table):,} names, first '{next(iter(table), '')}', is that of an "
                f"image of {self.path}, first '{_text(names[0])}': its first column must hold them"
            )
            raise SourceError(self.name, str(self.tags), reason)
        return tags

    def _rows(self, archive: Parquet) -> Iterator[tuple[str, str]]:
        if self.tags:
            raise CrawlError(
                f"source '{self.name}': key 'tags' is for named files: give 'tags_column' in its "
                "place"
            )
        return archive.rows(self.image, self.tags_column)


def read_tags(source: str, path: Path) -> dict[str, str]:
    """Name of a file, with the folders that the table states → its tags, separated by spaces.
    Raises CrawlError when ``path`` is no table.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(source, str(path), f"is not a CSV table: {reason}") from None
    names = table.iloc[:, 0].map(lambda name: name.strip().replace("\\", "/").removeprefix("./"))
    tags = {}
    for name, values in zip(names, table.iloc[:, 1:].to_dict("records"), strict=True):
        pairs = [(str(value).strip(), str(column)) for column, value in values.items()]
        words = [f"{value}_{column}" for value, column in pairs if value]
        tags[name] = " ".join("_".join(word.split()) for word in words)
    return tags


def _row_of(member: str, table: dict[str, str]) -> str | None:
    """The row whose name is the end of ``member``, with as many folders as both have."""
    parts = member.split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((table[end] for end in ends if end in table), None)


def _text(name: str) -> str:
    """A file's name need not be text, a cell of a table must be."""
    return name.encode(errors="backslashreplace").decode()

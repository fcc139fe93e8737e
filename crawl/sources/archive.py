"""Existing sets of images: an archive, a folder or Parquet files, perhaps with tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from crawl.archives.containers import Container
from crawl.archives.parquet import Parquet
from crawl.archives.reader import (
    DAMAGED,
    PACKED,
    find_file,
    member_url,
    members,
    open_archive,
)
from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources.base import Source, register
from crawl.sources.listing import Entry, ListedPage, Unfit
from crawl.sources.tag_table import TagTable
from crawl.web.session import Session

_ADVICE = "correct it, or put the file there"


@register("archive")
@dataclass(frozen=True, kw_only=True)
class Archive(Source):
    """``path``: a folder, or a zip, tar (.gz, .bz2, .xz) or Parquet file, or a folder of Parquet
    files.

    ``tags``: a CSV file, see `tag_table`.

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
        """One page, the images sorted by name, and then what is to be said of them. Nothing is
        asked.
        """
        notes: list[str] = []
        yield ListedPage(str(self.path), self._entries(notes))
        yield ListedPage(str(self.path), [], note="; ".join(notes))

    def _entries(self, notes: list[str]) -> Iterator[Entry]:
        """What is no image is told of first: it is counted also where ``limit`` ends the rest."""
        empty, others = True, list[str]()
        try:
            archive = open_archive(self.path)
            found = (
                self._rows(archive) if isinstance(archive, Parquet) else self._files(archive, notes)
            )
            for entry in found:
                if isinstance(entry, Unfit):
                    others.append(entry.reason)
                empty = empty and isinstance(entry, Unfit)
                yield entry if isinstance(entry, Unfit) else self._post(*entry)
        except DAMAGED as error:
            reason = f"is damaged, get it again: {error}"
            raise SourceError(self.name, str(self.path), reason) from None
        if empty:
            raise SourceError(self.name, str(self.path), f"holds no image{_hint(others)}")

    def _post(self, member: str, tags: str) -> Post:
        return Post(
            url=member_url(self.path, member),
            source=self.name,
            post_id=_text(member),
            tags=tags,
            licence=self.licence,
        )

    def _files(self, archive: Container, notes: list[str]) -> Iterator[Unfit | tuple[str, str]]:
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
        for name in found.replaced:
            reason = f"a later file has its name: '{_text(name)}'"
            yield Unfit(str(self.path), reason, "repeated")
        tags = self._tags(found.images)
        without = [name for name in found.images if self.tags and name not in tags]
        if without:
            notes.append(
                f"{len(without):,} of {len(found.images):,} images have no row in {self.tags}, "
                f"first '{_text(without[0])}'"
            )
        yield from ((name, tags.get(name, "")) for name in found.images)

    def _tags(self, names: list[str]) -> dict[str, str]:
        """Tags by name of a member. Raises SourceError where the table knows none of ``names``."""
        if not self.tags:
            return {}
        table = TagTable(self.name, self.tags)
        tags = {name: row for name in names if (row := table.of(name)) is not None}
        if names and not tags:
            reason = (
                f"none of its {len(table):,} names, first '{table.first}', is that of an "
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


def _hint(others: list[str]) -> str:
    """What to do where there are archives in the place of images."""
    packed = [reason for reason in others if reason.rstrip("'").lower().endswith(PACKED)]
    inner = packed[0].partition(": ")[2] if packed else ""
    return f", but {inner}: declare each archive as a source, or unpack them" if packed else ""


def _text(name: str) -> str:
    """A file's name need not be text, a cell of a table must be."""
    return name.encode(errors="backslashreplace").decode()

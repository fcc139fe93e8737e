"""Tags of an archive's images, out of a CSV file.

Its first column is a file name; each other column gives one tag, ``<value>_<column>``: ``hair`` =
blonde becomes ``blonde_hair``. A column ``tags`` holds tags as they are, a column ``rating`` a
rating. Rows of one name add up.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from crawl import texts
from crawl.errors import SourceError
from crawl.images import EXTENSIONS
from crawl.tags import is_adult

_LISTS = frozenset({"tag", "tags", "tag_string", "keywords"})  # columns of tags as they are
_ABSOLUTE = re.compile(r"([a-zA-Z]+:)?/")


class TagTable:
    """The table at ``path``. Raises SourceError, in the name of ``source``, when it is none."""

    def __init__(self, source: str, path: Path) -> None:
        tags: dict[str, list[str]] = {}
        for name, words in _rows(source, path):
            kept = tags.setdefault(name, [])
            kept += [word for word in words if word not in kept]
        self.first = next(iter(tags), "")
        self._size = len(tags)
        # As it is written; without regard to capitals; without an ending. Who shares a form with
        # another has none.
        self._forms = [(form, _unique(tags, form)) for form in (_plain, str.casefold, _stem)]

    def __len__(self) -> int:
        return self._size

    def of(self, member: str) -> str | None:
        """The tags of the row whose name is the end of ``member``, with as many folders as both
        have, separated by spaces; None where there is none.
        """
        parts = _plain(member).split("/")
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        for form, tags in self._forms:
            for end in ends:
                if (found := tags.get(form(end))) is not None:
                    return " ".join(found)
        return None


def _rows(source: str, path: Path) -> list[tuple[str, list[str]]]:
    """(name, tags) of each row."""
    try:
        lines = texts.decoded(path.read_bytes()).splitlines(keepends=True)
        head = lines[0] if lines else ""
        by = next((mark for mark in ",;\t" if mark in head), ",")
        rows = [row for row in csv.reader(lines, delimiter=by, strict=True) if any(row)]
        if not rows:
            raise ValueError("it is empty")
        header, *rows = rows
        if PurePosixPath(header[0].strip()).suffix.lower() in EXTENSIONS:
            raise ValueError(f"its first line, of {header[0]!r}, is no header")
        wide = next((row for row in rows if len(row) > len(header)), None)
        if wide:
            raise ValueError(f"a row has {len(wide)} cells, its header {len(header)}: {wide[0]!r}")
    except (ValueError, OSError, csv.Error) as error:
        reason = f"is not a CSV table in UTF-8: {' '.join(str(error).split())}"
        raise SourceError(source, str(path), reason) from None
    start = int(len(header) > 1 and header[0].strip().lower() in texts.NUMBERING)
    columns = [name.strip() for name in header[start + 1 :]]
    found = []
    for row in rows:
        name = _plain(row[start].strip().replace("\\", "/").removeprefix("./"))
        if _ABSOLUTE.match(name):  # of another machine
            name = name.rpartition("/")[2]
        cells = zip(columns, row[start + 1 :], strict=False)
        found.append((name, [word for cell in cells for word in _words(*cell)]))
    return found


def _words(column: str, value: str) -> list[str]:
    """The tags that a cell gives. A rating, and what is for no general audience, stand behind their
    column, so that every filter knows them.
    """
    named, value = column.casefold(), value.strip()
    if not value:
        return []
    if named in _LISTS:
        parts = value.split("," if "," in value else None)
    elif named == "rating" or is_adult(value):
        parts = [f"{column}:{value}"]
    else:
        parts = [f"{value}_{column}"]
    return ["_".join(part.split()) for part in parts if part.strip()]


def _unique(tags: dict[str, list[str]], form: Callable[[str], str]) -> dict[str, list[str]]:
    """Tags by the form of their name, where no other name has it."""
    found: dict[str, list[str]] = {}
    twice = set()
    for name, words in tags.items():
        key = form(name)
        if key in found:
            twice.add(key)
        found[key] = words
    return {key: words for key, words in found.items() if key not in twice}


def _plain(name: str) -> str:
    """The same letters, however a system composes their accents."""
    return unicodedata.normalize("NFC", name)


def _stem(name: str) -> str:
    path = PurePosixPath(name.casefold())
    return str(path.with_suffix("")) if path.suffix else str(path)

"""The pictures that a user names: files, folders, web addresses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from crawl.errors import CrawlError
from crawl.images import EXTENSIONS
from pipeline.core.errors import StageError

# What is taken of a folder. A file that is named itself is tried whatever it is called.
PICTURES = EXTENSIONS | {".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
MAX_BYTES = 200_000_000  # of one picture's file
# Controls, other ends of a line, and what turns the direction of a text around.
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LONGEST = 100  # bytes of a stem: file systems take 255 for a name


@dataclass(frozen=True)
class Source:
    """A picture that was named, unread."""

    shown: str  # how it is called when something is said about it
    identity: str  # a full path or an address: the same one is taken once

    @property
    def is_url(self) -> bool:
        """Whether it is on the web."""
        return is_url(self.identity)

    @property
    def stem(self) -> str:
        """What its translations are called after: plain, not hidden, and not too long."""
        path = unquote(urlsplit(self.identity).path) if self.is_url else self.identity
        stem = PurePosixPath(path.replace(os.sep, "/")).stem
        plain = re.sub(r'[<>:"/\\|?*]', "_", printable(stem)).strip(". ")
        return plain.encode()[:LONGEST].decode(errors="ignore") or "picture"

    def read(self) -> bytes:
        """The file. Raises StageError when it cannot be had."""
        if self.is_url:
            return _fetch(self.identity)
        try:
            path = Path(self.identity)
            if path.stat().st_size > MAX_BYTES:
                raise StageError(f"it has more than {MAX_BYTES:,} bytes")
            return path.read_bytes()
        except OSError as error:
            raise StageError(error.strerror or type(error).__name__) from None


def is_url(name: str) -> bool:
    """Whether it is a web address, and not a path."""
    return name.lower().startswith(("http://", "https://"))


def sources(names: Sequence[str], out: Path) -> tuple[list[Source], list[str]]:
    """The pictures that ``names`` stand for, each once; and a line for each name without any.

    Folders are searched to any depth, in the order of names. What is hidden and what lies in
    ``out``, where translations go, is passed over.
    """
    found: list[Source] = []
    problems = []
    for name in names:
        path = Path(name)
        if not name.strip():  # of a variable that is not set: not the folder we are in
            problems.append("an empty name is no file, folder or http address")
        elif is_url(name):
            found.append(Source(printable(name), name))
        elif path.is_file():
            found.append(_file(path))
        elif path.is_dir():
            inside = [_file(file) for file in _below(path, out.resolve())]
            found += inside
            if not inside:
                problems.append(f"{name} holds no picture ({', '.join(sorted(PICTURES))})")
        else:
            problems.append(f"{name} is no file, folder or http address")
    once = {source.identity: source for source in reversed(found)}
    return list(reversed(once.values())), [printable(line) for line in problems]


def printable(text: str) -> str:
    """``text`` in one line that any terminal shows: names of files may hold any byte."""
    whole = text.encode(errors="surrogateescape").decode(errors="replace")
    return UNSHOWN.sub("?", whole)


def _file(path: Path) -> Source:
    return Source(printable(str(path)), str(path.resolve()))


def _below(folder: Path, out: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != out
        )
        if here.resolve() == out:
            continue
        for name in sorted(files):
            path = here / name
            if path.suffix.lower() in PICTURES and not name.startswith(".") and path.is_file():
                yield path


def _fetch(url: str) -> bytes:
    """As guarded as the crawler is, see `crawl.web.download`."""
    from pipeline.core import downloads

    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        try:
            downloads.fetch(url, path, max_bytes=MAX_BYTES, digest="")
        except CrawlError as error:
            # It begins with the address, and so does every line about this source.
            raise StageError(str(error).removeprefix(f"{url} ")) from None
        return path.read_bytes()

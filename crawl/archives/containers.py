"""The kinds of archives, each read in place: what is in it, and one member's bytes.

Nothing is ever unpacked under a name that an archive states, so no name can lead outside.
"""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Protocol

from crawl.outcomes import FetchError, Outcome


class Container(Protocol):
    """An archive. Safe to share by threads, as ``read`` is all that they call."""

    def names(self) -> list[str]:
        """Of its regular files, in no order. Raises OSError and the like when it is damaged."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """The bytes of one of them. Raises KeyError when there is no such file, FetchError
        (too_large, forbidden_address), OSError and the like when it is damaged.
        """


class Folder:
    """A folder, with those in it.

    Args:
        path: the folder.
        links: whether a name may lead outside; only where no stranger's table states the names.
    """

    def __init__(self, path: Path, links: bool = False) -> None:
        self._path = path
        self._links = links

    def names(self) -> list[str]:
        files = (file for file in self._path.rglob("*") if file.is_file())
        return [file.relative_to(self._path).as_posix() for file in files]

    def read(self, name: str, max_bytes: int) -> bytes:
        file = (self._path / name).resolve()
        if not (self._links or file.is_relative_to(self._path.resolve())):  # ../ or a link
            raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{name} lies outside {self._path}")
        if not file.is_file():
            raise KeyError(name)
        check_size(file.stat().st_size, max_bytes)
        with file.open("rb") as handle:
            return handle.read(max_bytes + 1)


class Zip:
    """A zip file; each thread keeps its own handle open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def names(self) -> list[str]:
        with zipfile.ZipFile(self._path) as archive:
            return [entry.filename for entry in archive.infolist() if not entry.is_dir()]

    def read(self, name: str, max_bytes: int) -> bytes:
        if not hasattr(self._local, "archive"):
            self._local.archive = zipfile.ZipFile(self._path)
        entry = self._local.archive.getinfo(name)
        check_size(entry.file_size, max_bytes)
        with self._local.archive.open(entry) as member:
            return member.read(max_bytes + 1)


def check_size(size: int, max_bytes: int) -> None:
    """Raises FetchError (too_large) before anything is read."""
    if size > max_bytes:
        raise FetchError(Outcome.TOO_LARGE, f"{size:,} bytes, crawl.max_bytes is {max_bytes:,}")

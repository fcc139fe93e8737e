"""The kinds of archives, each read in place: what is in it, and one member's bytes.

Nothing is ever unpacked under a name that an archive states, so no name can lead outside.
"""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Protocol

from crawl.outcomes import FetchError, Outcome

START = 64  # bytes by which a file's kind is told
MAX_ENTRIES = 1_000_000  # of one archive
_MAX_DIRECTORY = 100_000_000  # bytes of a zip's table of contents: about as many entries


class Container(Protocol):
    """An archive. Safe to share by threads, as ``read`` is all that they call."""

    def names(self) -> list[str]:
        """Of its regular files, in no order; a name that several have is there as often. Raises
        OSError and the like when it is damaged.
        """

    def read(self, name: str, max_bytes: int) -> bytes:
        """The bytes of one of them. Raises KeyError when there is no such file, FetchError
        (too_large, forbidden_address), OSError and the like when it is damaged.
        """

    def start(self, name: str) -> bytes:
        """The first ``START`` bytes of one of them, to see what it is. Raises as ``read``."""


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
        # Links are shown, too, wherever they lead: what is not there is a file that is missing.
        files = (file for file in self._path.rglob("*") if file.is_symlink() or not file.is_dir())
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

    def start(self, name: str) -> bytes:
        if not (self._path / name).is_file():  # a pipe would never end
            raise KeyError(name)
        with (self._path / name).open("rb") as handle:
            return handle.read(START)


class Zip:
    """A zip file; each thread keeps its own handle open.

    A backslash in a name is a slash: some programs of Windows write it so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def names(self) -> list[str]:
        with self._opened() as archive:
            return [_slashed(entry) for entry in _files(archive)]

    def read(self, name: str, max_bytes: int) -> bytes:
        entry = self._entry(name)
        check_size(entry.file_size, max_bytes)
        if entry.flag_bits & 1:
            raise RuntimeError("it is encrypted: unpack it with its password, and name the folder")
        with self._local.archive.open(entry) as member:
            return member.read(max_bytes + 1)

    def start(self, name: str) -> bytes:
        entry = self._entry(name)
        with self._local.archive.open(entry) as member:
            return member.read(START)

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if not hasattr(self._local, "archive"):
            self._local.archive = self._opened()
            self._local.members = _members(self._local.archive)
        entry: zipfile.ZipInfo = self._local.members[name]
        return entry

    def _opened(self) -> zipfile.ZipFile:
        """Raises BadZipFile for a table of contents that no set of pictures has: all of it is held
        in memory.
        """
        with self._path.open("rb") as file:
            record = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if record and record[5] > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(
                f"its table of contents has {record[5]:,} bytes: unpack it and name the folder"
            )
        if record and (record[1] or record[2]):
            raise zipfile.BadZipFile("it is the last of several parts: join them to one zip first")
        return zipfile.ZipFile(self._path)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Entries that are files, by name; of two with one name the later one."""
    files = _files(archive)
    slashed = {_slashed(entry): entry for entry in files}
    return slashed | {entry.filename: entry for entry in files if "\\" not in entry.filename}


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in archive.infolist() if not entry.is_dir()]


def _slashed(entry: zipfile.ZipInfo) -> str:
    return entry.filename.replace("\\", "/")


def check_size(size: int, max_bytes: int) -> None:
    """Raises FetchError (too_large) before anything is read."""
    if size > max_bytes:
        raise FetchError(Outcome.TOO_LARGE, f"{size:,} bytes, crawl.max_bytes is {max_bytes:,}")

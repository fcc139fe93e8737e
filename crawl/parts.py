"""The part of an image that has arrived: a large one's is kept on disk, so that a killed crawl asks
only for the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

# A smaller body waits in memory: it is sooner asked for again than remembered.
_WORTH_RESUMING = 1 << 18  # bytes


@dataclass(frozen=True)
class _About:
    """The note beside bytes on disk: see `Part`."""

    total: int | None
    version: str
    encoding: str


_NOTE = TypeAdapter(_About)


class Part:
    """The first bytes of one image: in memory, or in a file, with a note of which image it is.

    Args:
        folder: where the file is, or will be when the image is large.
        name: of the file, see ``part_name``.
        resume: whether an earlier run left the file.
    """

    def __init__(self, folder: Path, name: str, resume: bool = False) -> None:
        self._folder = folder
        self._name = name
        self._small = bytearray()
        self._on_disk = False
        self.total: int | None = None  # bytes of the whole image, when the server said so
        self.version = ""  # ETag or Last-Modified of the bytes in hand
        self.encoding = ""  # Content-Encoding of the bytes in hand
        self.size = 0  # bytes in hand
        if resume:
            self._recall()

    @property
    def _path(self) -> Path:
        return self._folder / self._name

    @property
    def _note(self) -> Path:
        return self._path.with_suffix(".json")

    def restart(self, total: int | None, version: str, encoding: str = "") -> None:
        """Forgets the bytes in hand: others follow, of the image that the arguments describe."""
        self.discard()
        self.total, self.version, self.encoding = total, version, encoding

    def append(self, chunk: bytes) -> None:
        """Adds bytes."""
        self.size += len(chunk)
        if not self._on_disk and self.size <= _WORTH_RESUMING:
            self._small += chunk
            return
        with self._path.open("ab", buffering=0) as file:
            write_whole(file, bytes(self._small + chunk))
        if not self._on_disk:
            self._on_disk = True
            self._small.clear()
            if self.version:
                note = _About(self.total, self.version, self.encoding)
                self._note.write_bytes(_NOTE.dump_json(note))

    def read(self) -> bytes:
        """The bytes in hand."""
        return self._path.read_bytes() if self._on_disk else bytes(self._small)

    def discard(self) -> None:
        """Forgets the bytes in hand."""
        if self._on_disk:
            for path in (self._path, self._note):
                path.unlink(missing_ok=True)
        self._on_disk = False
        self._small.clear()
        self.size = 0

    def _recall(self) -> None:
        self._on_disk = True
        try:
            note = _NOTE.validate_json(self._note.read_bytes(), strict=True)
            self.total, self.version, self.encoding = note.total, note.version, note.encoding
            self.size = self._path.stat().st_size
        except (OSError, ValidationError):  # killed before it was written, or damaged
            self.discard()


def write_whole(file: IO[bytes], data: bytes) -> None:
    """Write all of ``data`` to an unbuffered file, which may take a part of it only: an almost full
    disk does. Raises OSError when it takes no more."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def part_name(url: str, md5: str) -> str:
    """Name of the file for this image; nothing from the network becomes a file name."""
    return f"{hashlib.sha256(f'{url} {md5}'.encode()).hexdigest()}.part"

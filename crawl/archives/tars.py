"""Tar files, plain or compressed, read in place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from crawl.archives.containers import MAX_ENTRIES, START, check_size

_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGED_HEADERS = (
    tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
)
_CHUNK = 1 << 20  # bytes decompressed at once
_SPARE = 1 << 30  # bytes of temporary space that are left free


@dataclass(frozen=True)
class _Extent:
    offset: int  # bytes
    size: int


class Tar:
    """A tar file, perhaps compressed.

    Reading a member of a compressed one means decompressing all that is before it. So it is
    decompressed once, into an unnamed temporary file, and members are read from there, in any
    order. Links and devices are no members, and are not followed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._plain: BinaryIO | None = None
        self._extents: dict[str, _Extent] = {}
        self._failure: Exception | None = None

    def names(self) -> list[str]:
        with _stream(self._path) as stream:
            return [name for name, _ in _index(stream)]

    def read(self, name: str, max_bytes: int) -> bytes:
        with self._lock:
            if self._failure:
                raise self._failure
            if self._plain is None:
                try:
                    self._open()
                except Exception as failure:
                    self._failure = failure  # it is long work: not again for each member
                    raise
        assert self._plain is not None
        extent = self._extents[name]
        check_size(extent.size, max_bytes)
        data = os.pread(self._plain.fileno(), extent.size, extent.offset)
        if len(data) != extent.size:
            raise EOFError("the archive ends early")
        return data

    def start(self, name: str) -> bytes:
        with self._lock:
            if self._plain is None:
                self._open()
        assert self._plain is not None
        extent = self._extents[name]
        return os.pread(self._plain.fileno(), min(START, extent.size), extent.offset)

    def _open(self) -> None:
        plain: BinaryIO = _stream(self._path)
        if not isinstance(plain, io.BufferedReader):
            with plain:
                plain = _spooled(plain)
        self._extents = dict(_index(plain))  # of two with one name the later one counts
        self._plain = plain


class _StrictInfo(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the archive; this does not."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _StrictInfo:
        try:
            return super().fromtarfile(archive)
        except _DAMAGED_HEADERS as error:
            raise tarfile.ReadError(str(error)) from None


def is_tar(path: Path) -> bool:
    """Whether ``path`` begins as a tar file, compressed or not."""
    try:
        with _stream(path) as stream, tarfile.open(fileobj=stream, mode="r:"):
            return True
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError):
        return False


def _stream(path: Path) -> BinaryIO:
    """What is in the tar file ``path``, decompressed on the way."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, open_stream in _COMPRESSED.items():
        if start.startswith(magic):
            return open_stream(path)
    return path.open("rb")


def _index(stream: BinaryIO) -> list[tuple[str, _Extent]]:
    """The regular files in ``stream``, in their order: the name of each, and where it is."""
    files: list[tuple[str, _Extent]] = []
    end = seen = 0
    with tarfile.open(fileobj=stream, mode="r:", tarinfo=_StrictInfo) as archive:
        for entry in archive:
            if entry.size < 0 or entry.offset_data <= end:  # a header that would lead in circles
                raise tarfile.ReadError("a header states an impossible size")
            end = entry.offset_data
            if entry.isreg() and not entry.issparse():
                files.append((entry.name, _Extent(entry.offset_data, entry.size)))
            archive.members = []  # type: ignore[attr-defined]  # it would keep all
            seen += 1
            if seen > MAX_ENTRIES:
                raise tarfile.ReadError(f"it has more than {MAX_ENTRIES:,} entries")
    return files


def _spooled(stream: BinaryIO) -> BinaryIO:
    """All of ``stream`` in a temporary file that goes away by itself."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - stays open as long as the reader
    room = shutil.disk_usage(tempfile.gettempdir()).free - _SPARE
    while chunk := _next(stream):
        room -= len(chunk)
        if room < 0:
            spool.close()
            raise OSError(
                "decompressed it does not fit into the temporary folder: set TMPDIR to a larger "
                "one, or unpack it and declare the folder"
            )
        spool.write(chunk)
    spool.seek(0)  # writes out what is buffered, too
    return cast(BinaryIO, spool)


def _next(stream: BinaryIO) -> bytes:
    """What comes next; nothing where something else than gzip follows it, which gzip ignores."""
    try:
        return stream.read1(_CHUNK)  # type: ignore[attr-defined]  # read loses what was before
    except gzip.BadGzipFile as error:
        if str(error).startswith("Not a gzipped file"):
            return b""
        raise

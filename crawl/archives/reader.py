"""Images inside archives and folders, named by URLs of the form ``file:<path>#<member>``."""

from __future__ import annotations

import lzma
import struct
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import pyarrow as pa

from crawl.archives.containers import START, Container, Folder, Zip
from crawl.archives.parquet import SUFFIX, Parquet
from crawl.archives.tars import Tar, is_tar
from crawl.errors import CrawlError
from crawl.images import EXTENSIONS, image_format
from crawl.outcomes import FetchError, Outcome

SCHEME = "file:"
# What the libraries raise on damaged files.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    pa.ArrowException,
    EOFError,
    OSError,
    RuntimeError,  # also what zipfile calls not implemented: a compression that it does not know
    ValueError,
    OverflowError,
    IndexError,
    struct.error,
)
# Endings of what has files in it.
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
    b"PK\x07\x08": "split zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"LZIP": "lzip",
    b"MSCF": "cabinet",
}
_MISTAKEN = {  # what often lies in the place of an archive: what to do
    b"version https://git-lfs": "a pointer of Git LFS: run `git lfs pull` in its repository",
    b"<!doctype html": "a page of HTML: the site sent it in the place of the file, get that again",
    b"<html": "a page of HTML: the site sent it in the place of the file, get that again",
    b"\x89hdf": "an HDF5 file, which is not read: write its images to a folder",
}


def member_url(path: Path, member: str) -> str:
    """The URL of ``member`` of the archive or folder ``path``."""
    # surrogateescape: names of files need not be text, and must be found again as they are.
    location = quote(path.as_posix(), errors="surrogateescape")
    return f"{SCHEME}{location}#{quote(member, errors='surrogateescape')}"


def open_archive(path: Path) -> Container | Parquet:
    """The reader for ``path``: a folder, or a zip, tar (.gz, .bz2, .xz) or Parquet file, or a
    folder of Parquet files. What it is is told by what is in it.

    Raises CrawlError when it is none.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise CrawlError(f"{path} does not exist: correct the path, or put the file there")
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise CrawlError(f"{path} cannot be read: {error.strerror}") from None
    if start.startswith(b"PAR1"):
        return Parquet(path)
    if start.startswith(b"PK") and not start.startswith(b"PK\x07\x08"):
        return Zip(path)
    if kind := next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), ""):
        raise CrawlError(
            f"{path} is a {kind} archive or a part of one, which is not read: unpack it, and name "
            "the folder"
        )
    if is_tar(path):  # before the next: a tar may end with a zip
        return Tar(path)
    if zipfile.is_zipfile(path):  # something may stand before a zip
        return Zip(path)
    for magic, what in _MISTAKEN.items():
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(magic):
            raise CrawlError(f"{path} is {what}")
    if image_format(start):
        raise CrawlError(f"{path} is one picture: name the folder that it is in")
    raise CrawlError(
        f"{path} is neither a folder nor a zip, tar or Parquet file, or it is damaged: get it again"
    )


def _open_folder(path: Path) -> Container | Parquet:
    folder = Folder(path)
    kinds = {Path(name).suffix.lower() for name in folder.names()}
    if SUFFIX not in kinds:
        return folder
    if kinds & EXTENSIONS:
        raise CrawlError(
            f"{path} holds both images and Parquet files: name the folder or file that is meant"
        )
    return Parquet(path)


@dataclass(frozen=True)
class Members:
    """What is in an archive: names of the images, of what is none, and those that later files have
    again, all sorted.
    """

    images: list[str]
    others: list[str]
    replaced: list[str]


def members(archive: Container) -> Members:
    """The members of ``archive``. What has no extension of an image is looked at: it may be one.

    What systems leave beside images, ``Thumbs.db`` or ``__MACOSX/…/._name.jpg``, is none. Raises
    one of DAMAGED.
    """
    images: list[str] = []
    others: list[str] = []
    times = Counter(archive.names())
    for name in sorted(times):
        (images if _is_image(archive, name) else others).append(name)
    replaced = [name for name in sorted(times) for _ in range(times[name] - 1)]
    return Members(images, others, replaced)


def _is_image(archive: Container, name: str) -> bool:
    file = PurePosixPath(name)
    if file.name.startswith("._"):
        return False
    if file.suffix.lower() in EXTENSIONS:
        return True
    try:
        return image_format(archive.start(name)) is not None
    except (KeyError, FetchError, *DAMAGED):
        return False


def find_file(path: Path, folder: Path, key: str, advice: str) -> Path:
    """The file or folder that a section's key names: looked for in ``folder``, which the same
    section names, and then from the project's root.

    Raises CrawlError, which names both places, when there is none.
    """
    places = list(dict.fromkeys((folder / path, path)))
    for place in places:
        if place.exists():
            return place
    looked = ", then ".join(map(str, places))
    raise CrawlError(f"{key}: {path} does not exist (looked for {looked}): {advice}")


class ArchiveReader:
    """Reads members; keeps the archives open. Safe to share by threads."""

    def __init__(self) -> None:
        self._open: dict[Path, Container | Parquet] = {}
        self._lock = threading.Lock()

    def read(self, url: str, max_bytes: int) -> bytes:
        """The bytes of the member that ``url`` (see ``member_url``) names.

        Raises FetchError: gone, too_large for more than ``max_bytes``, forbidden_address for what
        lies outside a folder, gave_up when the archive is damaged.
        """
        archive, _, member = url.removeprefix(SCHEME).partition("#")
        path = Path(unquote(archive, errors="surrogateescape"))
        name = unquote(member, errors="surrogateescape")
        try:
            data = self._archive(path).read(name, max_bytes)
        except (KeyError, FileNotFoundError):
            raise FetchError(Outcome.GONE, f"{path} has no {name}") from None
        except (CrawlError, *DAMAGED) as error:
            raise FetchError(Outcome.GAVE_UP, f"{path}, '{name}': {error}") from None
        if len(data) > max_bytes:
            raise FetchError(Outcome.TOO_LARGE, f"more than {max_bytes:,} bytes")
        return data

    def _archive(self, path: Path) -> Container | Parquet:
        with self._lock:
            if path not in self._open:
                if not path.exists():
                    raise FileNotFoundError(path)
                self._open[path] = open_archive(path)
            return self._open[path]

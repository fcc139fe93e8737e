"""Images inside a zip file or a folder, named by URLs of the form ``file:<path>#<member>``."""

from __future__ import annotations

import threading
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote, unquote

from crawl.errors import CrawlError
from crawl.images import EXTENSIONS
from crawl.outcomes import FetchError, Outcome

SCHEME = "file:"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def member_url(path: Path, member: str) -> str:
    """The URL of ``member`` of the archive or folder ``path``."""
    return f"{SCHEME}{quote(path.as_posix())}#{quote(member)}"


def image_members(path: Path) -> list[str]:
    """Names of the images, by extension, in the zip file or folder ``path``, sorted.

    Raises CrawlError when ``path`` is neither.
    """
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.is_file())
        names = [file.relative_to(path).as_posix() for file in found]
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    elif path.exists():
        raise CrawlError(f"{path} is neither a folder nor a zip file")
    else:
        raise CrawlError(f"{path} does not exist: correct the path, or put the file there")
    return sorted(name for name in names if Path(name).suffix.lower() in EXTENSIONS)


class ArchiveReader:
    """Reads members; keeps the zip files open, each thread its own handles."""

    def __init__(self) -> None:
        self._local = threading.local()

    def read(self, url: str, max_bytes: int) -> bytes:
        """The bytes of the member that ``url`` (see ``member_url``) names.

        Raises FetchError: gone, too_large for more than ``max_bytes``, gave_up when the archive is
        damaged.
        """
        archive, _, member = url.removeprefix(SCHEME).partition("#")
        path, name = Path(unquote(archive)), unquote(member)
        try:
            data = (
                _read_file(path, name, max_bytes)
                if path.is_dir()
                else self._read_zip(path, name, max_bytes)
            )
        except (KeyError, FileNotFoundError):
            raise FetchError(Outcome.GONE, f"{path} has no {name}") from None
        except _DAMAGED as error:
            raise FetchError(Outcome.GAVE_UP, f"{path}, {name}: {error}") from None
        if len(data) > max_bytes:
            raise FetchError(Outcome.TOO_LARGE, f"more than {max_bytes:,} bytes")
        return data

    def _read_zip(self, path: Path, name: str, max_bytes: int) -> bytes:
        handles: dict[Path, zipfile.ZipFile] = self._local.__dict__.setdefault("handles", {})
        if path not in handles:
            handles[path] = zipfile.ZipFile(path)
        with handles[path].open(name) as member:
            return member.read(max_bytes + 1)


def _read_file(folder: Path, name: str, max_bytes: int) -> bytes:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{name} lies outside {folder}")
    with file.open("rb") as handle:
        return handle.read(max_bytes + 1)

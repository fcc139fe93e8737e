"""The part of an image that has arrived: kept on disk, so that a killed crawl asks for the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

# A smaller body is sooner asked for again than remembered.
_WORTH_RESUMING = 1 << 18  # bytes


class Part:
    """The first bytes of one image in ``<path>``, and in ``<path>.json`` which image that was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = path.with_suffix(".json")
        self.total: int | None = None  # bytes of the whole image, when the server said so
        self.version = ""  # ETag or Last-Modified of the bytes in hand
        self.size = 0  # bytes in hand
        self._recall()

    def restart(self, total: int | None, version: str) -> None:
        """Forgets the bytes in hand: others follow, of the image that the arguments describe."""
        self.total, self.version, self.size = total, version, 0
        self._path.write_bytes(b"")
        self._note.unlink(missing_ok=True)
        if version and (total is None or total >= _WORTH_RESUMING):
            self._note.write_text(json.dumps({"total": total, "version": version}))

    def append(self, chunks: Iterable[bytes], most: int) -> bool:
        """Writes ``chunks`` until there are none or ``most`` bytes in all are passed.

        Returns whether it stayed below. What was written stays when ``chunks`` raises.
        """
        with self._path.open("ab", buffering=0) as file:
            for chunk in chunks:
                file.write(chunk)
                self.size += len(chunk)
                if self.size > most:
                    return False
        return True

    def read(self) -> bytes:
        """The bytes in hand."""
        return self._path.read_bytes()

    def move(self, target: Path) -> None:
        """The complete image becomes ``target``."""
        target.parent.mkdir(exist_ok=True)
        self._path.replace(target)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes what is on disk."""
        for path in (self._path, self._note):
            path.unlink(missing_ok=True)

    def _recall(self) -> None:
        try:
            note = json.loads(self._note.read_text())
            self.total, self.version = note["total"], note["version"]
            self.size = self._path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):  # none, or killed while it was written
            self.total, self.version, self.size = None, "", 0


def part_path(folder: Path, url: str, md5: str) -> Path:
    """Where the part of this image lies; nothing from the network becomes a file name."""
    return folder / f"{hashlib.sha256(f'{url} {md5}'.encode()).hexdigest()}.part"

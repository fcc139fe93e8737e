"""Files that end with their own sha256: whether one is, to the bit, what was written can be seen.

torch and numpy do not look behind the end of what they read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from models.runtime.files import replacing

_MARK, _DIGITS = b"face2anime sha256 ", 64


@contextmanager
def sealing(path: Path) -> Iterator[IO[bytes]]:
    """As `replacing`, for a file that is written from beginning to end; its seal is put there."""
    with replacing(path) as file:
        hashed = _Hashed(file)
        yield cast(IO[bytes], hashed)
        file.write(_MARK + hashed.digest.hexdigest().encode())


def intact(path: Path) -> bool:
    """Whether a file is what was written. Raises OSError where it cannot be read."""
    end = len(_MARK) + _DIGITS
    with path.open("rb") as file:
        left = file.seek(0, os.SEEK_END) - end
        file.seek(max(0, left))
        if left < 0 or not (told := file.read()).startswith(_MARK):
            return False
        digest, left = hashlib.sha256(), file.seek(0) + left
        while left and (part := file.read(min(left, 1 << 20))):
            digest.update(part)
            left -= len(part)
    return told == _MARK + digest.hexdigest().encode()


class _Hashed:
    """A file that learns the sha256 of what is written to it, which is never gone back in."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """As of a file."""
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """As of a file."""
        self._file.flush()

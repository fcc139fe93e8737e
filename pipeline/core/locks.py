"""One writer of an output, one run of a stage at a time, among the processes of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import StageError


@contextmanager
def held(name: str, base: Path) -> Iterator[None]:
    """Within it no other process holds ``name`` of the project or copy of it at ``base``.

    A process that ends, however it ends, holds nothing. Raises StageError, saying who, when
    another one does.
    """
    folder = base / ".cache/locks"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.strip('/').replace('/', '+')}.lock"
    who = file.with_suffix(".who")
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise StageError(
            f"{name} is being written by another run{_told(who)}: wait for its end, or stop it"
        ) from None
    try:
        who.write_text(f"process {os.getpid()}, since {time.strftime('%H:%M:%S')}")
        yield
    finally:
        with suppress(OSError):
            who.unlink(missing_ok=True)
        lock.release()


def _told(who: Path) -> str:
    try:
        return f" ({who.read_text()})"
    except OSError:  # it has just begun, or just ended
        return ""

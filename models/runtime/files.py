"""Files, each written beside its place and then moved there. Without torch: see `weights`."""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from models.errors import ModelError

WEIGHTS, CONFIG = "generator.safetensors", "config.json"  # of a trained translator
SHIPPED = "shipped"  # what users call the one that comes along, in
_HERE = re.sub(r"[^A-Za-z0-9]", "_", platform.node())  # in a shared folder others have this pid
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when the block ends without an error.

    A reader finds the old file or the new one, never half of one, also after a crash. Two
    processes may write the same path at once: each has a temporary file of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in _left_over(path):
        left.unlink(missing_ok=True)
    beside = path.with_name(f".{path.name}.{_HERE}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete `path` and what a killed `replacing` of it has left."""
    for file in (path, *path.parent.glob(f".{glob.escape(path.name)}.*.tmp")):
        file.unlink(missing_ok=True)


def _left_over(path: Path) -> Iterator[Path]:
    """What killed processes of this machine left of their writing `path`."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.{_HERE}-*.tmp"):
        process = file.name.removesuffix(".tmp").split("-")[-2]
        if process.isdigit() and not _lives(int(process)):
            yield file


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data`."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, data: Any) -> None:
    """Indented JSON, keys in the order given."""
    write_bytes(path, (json.dumps(data, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file; ModelError when it is absent or broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: train first, or give another folder") from error

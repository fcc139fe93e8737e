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
TRAIN = "train first, or give another folder"  # where the files of a model cannot be used
# Of a JSON file: lists and objects in each other, and digits of a number.
DEEPEST, LONGEST = 50, 300


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


def read_json(path: Path, remedy: str = TRAIN, kind: type = dict) -> Any:
    """What a JSON file says. Every JSON file but a listing of a site is read here.

    Args:
        path: the file, UTF-8.
        remedy: what to do where it cannot be used.
        kind: what it must hold; ``dict``: an object.

    Raises ModelError, in one line with the remedy, where the file is absent or broken, holds
    another kind, or is nested deeper than anything here.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"), str(path), remedy, kind)
    except OSError as error:
        why = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    raise ModelError(f"cannot read {path} ({why}): {remedy}")


def parse_json(text: str, name: str, remedy: str = TRAIN, kind: type = dict) -> Any:
    """As `read_json`, of the text of a file called ``name``."""
    try:
        told = json.loads(text, parse_int=_whole)
        if not isinstance(told, kind):
            raise ValueError(f"it holds a {type(told).__name__}, not a {kind.__name__}")
        if _deeper(told, DEEPEST):
            raise RecursionError
        return told
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:
        why = " ".join(str(error).split())
    raise ModelError(f"cannot read {name} ({why}): {remedy}")


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a trained translator. Raises ModelError as `read_json`, and for a key that is
    no text."""
    path = folder / CONFIG
    told: dict[str, Any] = read_json(path)
    if not isinstance(told.get("key", ""), str):
        raise ModelError(f"cannot read {path} (its key is no text): {TRAIN}")
    return told


def _whole(digits: str) -> int:
    """A whole number that is also one as a float. Raises ValueError."""
    if len(digits) > LONGEST:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _deeper(value: Any, most: int) -> bool:
    """Whether lists and objects lie in each other more than ``most`` times."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most < 0 or any(_deeper(each, most - 1) for each in inner)

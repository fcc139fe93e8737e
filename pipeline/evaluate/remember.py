"""What was read off images, kept: real ones are the same for every variant, and cost the most."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from models.runtime.files import replacing
from pipeline.core import stage

_DIGEST = hashlib.sha256().digest_size  # bytes, which end a file


def remembered(
    what: str, code: tuple[ModuleType, ...], images: np.ndarray, read: Callable[[], np.ndarray]
) -> np.ndarray:
    """``read()``, or what it gave before for these images.

    Args:
        what: names all that the result rests on besides, as weights by their hash.
        code: the modules that read; with any change of them, everything is read anew.
        images: the pixels.
        read: gives an array of numbers.
    """
    digest = hashlib.sha256(f"{what} {images.shape}".encode())
    for module in code:
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(np.ascontiguousarray(images).data)
    path = stage.cache_dir("evaluate") / f"{digest.hexdigest()[:32]}.npy"
    if (kept := _kept(path)) is not None:
        return kept
    array = io.BytesIO()
    np.save(array, read())
    with replacing(path) as file:
        file.write(array.getvalue() + hashlib.sha256(array.getvalue()).digest())
    return _loaded(array.getvalue())


def _kept(path: Path) -> np.ndarray | None:
    """What a file has; None where there is none, or it is not what was written."""
    data = path.read_bytes() if path.is_file() else b""
    array, told = data[:-_DIGEST], data[-_DIGEST:]
    return _loaded(array) if hashlib.sha256(array).digest() == told else None


def _loaded(data: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(data))
    return array

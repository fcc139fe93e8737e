"""Pictures larger than they are: drawings by a public network, photos by interpolation."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import cv2
import numpy as np
import torch

from models.data.augment import channels_last
from models.knobs import refuse_unknown
from models.public import upscaler
from pipeline.core.errors import StageError

Kind = Literal["drawing", "photo"]
TWICE, FOUR_TIMES = "anime_upscaler_2x", "anime_upscaler_4x"


def enlarge(images: np.ndarray, size: int, *, kind: Kind) -> np.ndarray:
    """Square pictures at the side ``size``, which may be smaller, too.

    A drawing runs through the network as often as it must to reach ``size``: on a core 0.06 s for
    64 → 256 pixels, 0.3 s for 128 → 512 and 1 s for 64 → 512, whose two passes look better than one
    and Lanczos. A photo is enlarged by Lanczos: `photo_upscaler_4x` takes 30 times as long as the
    network for drawings. What is too large is averaged over areas, which does not alias.

    Args:
        images: uint8 RGB [N, S, S, 3].
        size: pixels.

    Returns:
        uint8 RGB [N, size, size, 3].

    Raises:
        ModelError: the network's weights are not here, or ``kind`` is unknown.
        StageError: other pictures, or a size below 1.
    """
    refuse_unknown("kind of picture", [kind], get_args(Kind))
    shape = np.shape(images)
    if images.dtype != np.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise StageError(f"enlarge takes uint8 [N, S, S, 3], not {images.dtype} {list(shape)}")
    if size < 1 or not shape[1]:
        raise StageError(f"pictures of {shape[1]} pixels cannot be made {size} pixels large")
    if kind == "drawing":
        images = _redrawn(images, size)
    way = cv2.INTER_LANCZOS4 if size > images.shape[1] else cv2.INTER_AREA
    enlarged = np.empty((len(images), size, size, 3), np.uint8)
    for place, image in enumerate(images):
        enlarged[place] = cv2.resize(image, (size, size), interpolation=way)
    return enlarged


def _redrawn(images: np.ndarray, size: int) -> np.ndarray:
    """Run through the network until their side is ``size`` or more: uint8 RGB [N, T, T, 3]."""
    while (side := images.shape[1]) < size:
        network = _network(FOUR_TIMES if 2 * side < size else TWICE)
        pixels = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)  # may be a read-only view
        images = channels_last(network.enlarged(pixels))
    return images


@cache
def _network(name: str) -> upscaler.Upscaler:
    """Loaded once in a process."""
    return upscaler.load(name)

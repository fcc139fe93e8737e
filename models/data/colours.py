"""Colours of images as luma and chroma, and thumbnails of few cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of R, G and B: ITU-R BT.601
CELLS = 8  # a side of the thumbnail: too few for lines and shading, enough for hair and skin


def thumbnail(images: Tensor) -> Tensor:
    """Float [N, 3, H, W] in [-1, 1] → luma, C_b and C_r of each cell, [N, 3, 8, 8] in [-1, 1]."""
    return luma_chroma(F.adaptive_avg_pool2d(images, CELLS))


def luma_chroma(images: Tensor) -> Tensor:
    """RGB [N, 3, H, W] in [-1, 1] → luma, C_b and C_r (ITU-R BT.601), in [-1, 1]."""
    red, _, blue = images.unbind(1)
    luma = luma_of(images)
    return torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], 1)


def luma_of(images: Tensor) -> Tensor:
    """RGB [N, 3, H, W] in [-1, 1] → luma (ITU-R BT.601), [N, H, W] in [-1, 1]."""
    red, green, blue = images.unbind(1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def to_rgb(pixels: Tensor) -> Tensor:
    """What `luma_chroma` is the way back of: [N, 3, H, W] → RGB."""
    luma, c_b, c_r = pixels.unbind(1)
    blue, red = luma + 1.772 * c_b, luma + 1.402 * c_r
    return torch.stack([red, (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue], 1)

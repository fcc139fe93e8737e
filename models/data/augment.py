"""Augmentation on the device: uint8 batches → float images in [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.knobs import DIFF_AUGMENTS


def to_float(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 −1…1."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float −1…1 → uint8 0…255, rounded and clamped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def fit_size(images: Tensor, size: int) -> Tensor:
    """uint8 [N, 3, S, S] at the side `size`, by bilinear interpolation with antialiasing.

    As torchvision does it, which takes seconds to import.
    """
    if list(images.shape[-2:]) == [size, size]:
        return images
    # Only a CPU resizes bytes.
    pixels = images if images.device.type == "cpu" else images.float()
    fitted = F.interpolate(pixels, [size, size], mode="bilinear", antialias=True)
    return fitted if fitted.dtype == torch.uint8 else fitted.round().to(torch.uint8)


def channels_last(images: Tensor) -> np.ndarray:
    """uint8 [N, 3, S, S] → uint8 array [N, S, S, 3]."""
    return images.permute(0, 2, 3, 1).contiguous().numpy()


def augment(images: Tensor, flip: bool = True, shift: float = 0.0, zoom: float = 0.0) -> Tensor:
    """Random flip, shift and zoom of float [N, 3, S, S], drawn per image from torch's RNG.

    `shift` is the largest move as a fraction of the side, `zoom` the largest change of scale;
    pixels from outside are reflected. Flip alone needs no resampling, so it blurs nothing.
    """
    n, device = len(images), images.device
    if flip:
        mirrored = torch.rand(n, 1, 1, 1, device=device) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    if shift or zoom:
        theta = torch.zeros(n, 2, 3, device=device)
        scale = 1 + zoom * (2 * torch.rand(n, device=device) - 1)
        theta[:, 0, 0] = theta[:, 1, 1] = scale
        theta[:, :, 2] = 2 * shift * (2 * torch.rand(n, 2, device=device) - 1)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return images


def diff_augment(images: Tensor, kinds: Sequence[str]) -> Tensor:
    """What a discriminator sees of real and translated images alike: differentiable augmentation.

    Zhao et al., DiffAugment (2020): where data is scarce, a discriminator cannot learn by heart
    what it never sees twice, and generators do not take over what both sides are changed by.

    Args:
        images: float [N, 3, S, S] in [-1, 1].
        kinds: of `DIFF_AUGMENTS`, applied in that order; random numbers come from torch's RNG.
    """
    for kind in kinds:
        images = _AUGMENTS[kind](images)
    return images


def fade_in(images: Tensor, progress: float, until: float) -> Tensor:
    """Blur float [N, 3, S, S] by σ = S/32 at `progress` 0, linearly less, and by none from `until`.

    Projected GANs' code does so with real and translated images alike: a discriminator that sees
    fine detail at once wins before the generator has coarse shapes.
    """
    if progress >= until:
        return images
    side = images.shape[-1]
    widest = side / 32
    sigma, reach = widest * (1 - progress / until), math.ceil(3 * widest)
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.softmax(-0.5 * (places / sigma) ** 2, 0).expand(3, 1, 1, -1)
    padded = F.pad(images, [reach] * 4, mode="reflect")
    rows = F.conv2d(padded, weights, groups=3)
    return F.conv2d(rows, weights.transpose(2, 3), groups=3)


def _colour(images: Tensor) -> Tensor:
    """Brightness ± 0.5, saturation × 0…2, contrast × 0.5…1.5, each image its own."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + 2 * saturation * (images - grey)
    middle = images.mean((1, 2, 3), keepdim=True)
    return middle + (0.5 + contrast) * (images - middle)


def _translation(images: Tensor) -> Tensor:
    """Moved by whole pixels, up to an eighth of the side either way; zeros come in."""
    n, _, height, width = images.shape
    reach = round(height / 8)
    move = torch.randint(-reach, reach + 1, (2, n, 1), device=images.device)
    rows = torch.arange(height, device=images.device) + move[0] + reach
    columns = torch.arange(width, device=images.device) + move[1] + reach
    padded = F.pad(images, [reach] * 4)
    batch = torch.arange(n, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor) -> Tensor:
    """A square of half the side is zeroed, anywhere its centre may be."""
    n, _, height, width = images.shape
    centre = torch.rand(2, n, 1, device=images.device)
    ys = torch.arange(height, device=images.device) - (centre[0] * height).floor()
    xs = torch.arange(width, device=images.device) - (centre[1] * width).floor()
    inside_y = (ys >= -(height // 4)) & (ys < height // 4)
    inside_x = (xs >= -(width // 4)) & (xs < width // 4)
    return images * ~(inside_y[:, None, :, None] & inside_x[:, None, None, :])


_AUGMENTS = {"colour": _colour, "translation": _translation, "cutout": _cutout}
assert tuple(_AUGMENTS) == DIFF_AUGMENTS

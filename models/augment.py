"""Augmentation on the device: uint8 batches → float images in [-1, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.variants import Variant


def to_float(images: Tensor) -> Tensor:
    """uint8 0…255 → float32 −1…1."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float −1…1 → uint8 0…255, rounded and clamped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


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


def augment_for(variant: Variant, images: Tensor) -> Tensor:
    """uint8 batch → float batch with the augmentation that the variant asks for."""
    return augment(to_float(images), variant.flip, variant.shift, variant.zoom)

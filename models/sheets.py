"""Sample sheets: fixed held-out inputs, their translations and reconstructions, as one picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.utils import make_grid

from models.checkpoint import Translator


def sample_sheet(translator: Translator, photos: Tensor, anime: Tensor) -> Tensor:
    """Two uint8 batches [N, 3, S, S] → one uint8 picture [3, H, W] of six rows of N images.

    Rows: photos | as anime | reconstructed | anime | as photos | reconstructed.
    """
    rows: list[Tensor] = []
    for domain, images, direction in (
        ("photos", photos, "photos2anime"),
        ("anime", anime, "anime2photos"),
    ):
        rows += [images.cpu(), translator.translate(images, direction)]
        rows += [translator.reconstruct(images, domain)]
    return make_grid(torch.cat(rows), nrow=len(photos), padding=2, pad_value=255)

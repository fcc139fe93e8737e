"""Sample sheets: fixed held-out inputs, their translations and reconstructions, as one picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.utils import make_grid

from models.checkpoint import Translator
from models.data.domain import Domain


def sample_sheet(translator: Translator, photos: Domain, anime: Domain) -> Tensor:
    """N images of either domain → one uint8 picture [3, H, W] of six rows of N images.

    Rows: photos | as anime | reconstructed | anime | as photos | reconstructed.
    """
    rows: list[Tensor] = []
    for name, domain, direction in (
        ("photos", photos, "photos2anime"),
        ("anime", anime, "anime2photos"),
    ):
        rows += [domain.images, translator.translate(domain.images, direction, domain.labels)]
        rows += [translator.reconstruct(domain.images, name, domain.labels)]
    return make_grid(torch.cat(rows), nrow=len(photos), padding=2, pad_value=255)

"""Colours of two domains, cell by cell: what the hair of a photo is to be called in anime."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.augment import to_float
from models.data.domain import Domain, StreamedDomain
from models.data.light import LUMA, prepared
from models.domains import DOMAINS, other
from models.variants import Variant

CELLS = 8  # a side of the thumbnail: too few for lines and shading, enough for hair and skin
MOST = 2.5  # deviations from the mean: no outlier asks for a colour that the other domain lacks
LOOKED_AT = 4096  # images of a domain, evenly through it; more change no mean by a grey level
BATCH = 256
LEAST = 0.02  # of a deviation, of 2: a cell that never changes says nothing


class Palette(nn.Module):
    """Mean and deviation of each cell of the domains' thumbnails.

    Buffers `photos` and `anime`, float [2, 3, 8, 8]: mean and deviation of luma, C_b and C_r
    (BT.601, each in [-1, 1]). Before `fit` both domains have the same, so that `wanted` changes
    nothing. They follow from the data, so no saved state has them.
    """

    photos: Tensor
    anime: Tensor

    def __init__(self) -> None:
        super().__init__()
        start = torch.stack([torch.zeros(3, CELLS, CELLS), torch.ones(3, CELLS, CELLS)])
        for domain in DOMAINS:
            self.register_buffer(domain, start.clone(), persistent=False)

    def fit(self, domains: Mapping[str, Domain | StreamedDomain], variant: Variant) -> None:
        """Take the colours of both domains from a look at their images, as training sees them."""
        for name, domain in domains.items():
            rows = range(0, len(domain), -(-len(domain) // LOOKED_AT))
            cells = []
            for start in range(0, len(rows), BATCH):
                images = domain.take(rows[start : start + BATCH]).images
                images = to_float(images.to(self.photos.device))
                cells.append(thumbnail(prepared(images, name, variant.match_light)))
            every = torch.cat(cells)
            if variant.flip:
                every = torch.cat([every, every.flip(3)])
            deviation, mean = torch.std_mean(every, 0, correction=0)
            getattr(self, name).copy_(torch.stack([mean, deviation.clamp(min=LEAST)]))

    def wanted(self, images: Tensor, source: str) -> Tensor:
        """The thumbnails [N, 3, 8, 8] that translations of `images` from `source` are to have.

        T(c) = μ_Y + σ_Y · (c − μ_X) / σ_X in every cell: colour transfer of Reinhard et al. (2001).
        """
        mean, deviation = getattr(self, source)
        target_mean, target_deviation = getattr(self, other(source))
        away = ((thumbnail(images) - mean) / deviation).clamp(-MOST, MOST)
        return target_mean + target_deviation * away


def thumbnail(images: Tensor) -> Tensor:
    """Float [N, 3, H, W] in [-1, 1] → luma, C_b and C_r of each cell, [N, 3, 8, 8] in [-1, 1]."""
    red, green, blue = F.adaptive_avg_pool2d(images, CELLS).unbind(1)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], 1)

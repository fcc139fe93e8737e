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
# The rows and columns where a fringe may cover what is a bare forehead in the photo, and eyes are
# larger: no colour is asked for there.
FREE = slice(2, 4), slice(2, 6)
MOST = 2.5  # deviations from the mean: no outlier asks for a lightness that the other domain lacks
LOOKED_AT = 4096  # images of a domain, evenly through it; more change no mean by a grey level
BATCH = 256
LEAST = 0.02  # of a deviation, of 2: a cell that never changes says nothing


class Palette(nn.Module):
    """How light each cell of a domain's thumbnails is, and how colourful its images are.

    Buffers of `photos` and `anime`: `_luma`, float [2, 8, 8], mean and deviation; `_chroma`, a
    scalar, the root of the mean square (BT.601, both in [-1, 1]). Before `fit` both domains have
    the same, so that `wanted` changes nothing. They follow from the data, so no saved state has
    them.
    """

    def __init__(self) -> None:
        super().__init__()
        for domain in DOMAINS:
            luma = torch.stack([torch.zeros(CELLS, CELLS), torch.ones(CELLS, CELLS)])
            self.register_buffer(f"{domain}_luma", luma, persistent=False)
            self.register_buffer(f"{domain}_chroma", torch.ones(()), persistent=False)

    def fit(self, domains: Mapping[str, Domain | StreamedDomain], variant: Variant) -> None:
        """Take the colours of both domains from a look at their images, as training sees them."""
        for name, domain in domains.items():
            rows = range(0, len(domain), -(-len(domain) // LOOKED_AT))
            luma, chroma = self._of(name)
            cells = []
            for start in range(0, len(rows), BATCH):
                images = domain.take(rows[start : start + BATCH]).images
                images = to_float(images.to(luma.device))
                cells.append(thumbnail(prepared(images, name, variant.match_light)))
            every = torch.cat(cells)
            if variant.flip:
                every = torch.cat([every, every.flip(3)])
            deviation, mean = torch.std_mean(every[:, 0], 0, correction=0)
            luma.copy_(torch.stack([mean, deviation.clamp(min=LEAST)]))
            chroma.copy_(every[:, 1:].square().mean().sqrt().clamp(min=LEAST))

    def wanted(self, images: Tensor, source: str) -> Tensor:
        """The thumbnails [N, 3, 8, 8] that translations of `images` from `source` are to have.

        As light, cell by cell, as they are among their domain, μ_Y + σ_Y · (c − μ_X) / σ_X, after
        Reinhard et al., Color Transfer between Images (2001). Of the same hue and as colourful as
        the other domain, c · ρ_Y / ρ_X: with means and deviations of chroma, too, black would be
        blue where photos are brown.
        """
        (luma, chroma), (target_luma, target_chroma) = self._of(source), self._of(other(source))
        cells = thumbnail(images)
        away = ((cells[:, :1] - luma[0]) / luma[1]).clamp(-MOST, MOST)
        light = target_luma[0] + target_luma[1] * away
        return torch.cat([light, cells[:, 1:] * (target_chroma / chroma)], 1)

    def _of(self, domain: str) -> tuple[Tensor, Tensor]:
        return getattr(self, f"{domain}_luma"), getattr(self, f"{domain}_chroma")


def counted(thumbnails: Tensor) -> Tensor:
    """The cells that have a colour to keep, all but `FREE`: [N, 3, 8, 8] → [N, 3, 56]."""
    rows, columns = FREE
    above, beside, below = thumbnails.tensor_split((rows.start, rows.stop), 2)
    left, _, right = beside.tensor_split((columns.start, columns.stop), 3)
    return torch.cat([part.flatten(2) for part in (above, left, right, below)], 2)


def thumbnail(images: Tensor) -> Tensor:
    """Float [N, 3, H, W] in [-1, 1] → luma, C_b and C_r of each cell, [N, 3, 8, 8] in [-1, 1]."""
    red, green, blue = F.adaptive_avg_pool2d(images, CELLS).unbind(1)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], 1)

"""Colours of two domains, cell by cell: which ones a photo's hair is to have in anime."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.data.augment import to_float
from models.data.colours import CELLS, thumbnail
from models.data.conditioning import HAIR, UNKNOWN
from models.data.domain import Domain, StreamedDomain
from models.data.light import prepared
from models.domains import DOMAINS, other
from models.networks.hair import HairColours, hair_shares, mean_colour, to_same_name
from models.variants import Variant

# The rows and columns where a fringe may cover what is a bare forehead in the photo, and eyes are
# larger: no colour is asked for there.
FREE = slice(2, 4), slice(2, 6)
MOST = 2.5  # deviations from the mean: no outlier asks for a lightness that the other domain lacks
LOOKED_AT = 4096  # images of a domain, evenly through it; more change no mean by a grey level
BATCH = 256
LEAST = 0.02  # of a deviation, of 2: a cell that never changes says nothing


class Palette(nn.Module):
    """How light each cell of a domain's thumbnails is, how colourful its images are, and which
    colour hair of each name has.

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
        self.hair = nn.ModuleDict({domain: HairColours(persistent=False) for domain in DOMAINS})

    def fit(self, domains: Mapping[str, Domain | StreamedDomain], variant: Variant) -> None:
        """Take the colours of both domains from a look at their images, as training sees them."""
        for name, domain in domains.items():
            rows = range(0, len(domain), -(-len(domain) // LOOKED_AT))
            luma, chroma = self._of(name)
            cells, names = [], []
            for start in range(0, len(rows), BATCH):
                taken = domain.take(rows[start : start + BATCH])
                images = to_float(taken.images.to(luma.device))
                cells.append(thumbnail(prepared(images, name, variant.match_light)))
                names += list(taken.labels.get(HAIR, [UNKNOWN] * len(taken)))
            every = torch.cat(cells)
            if variant.flip:
                every, names = torch.cat([every, every.flip(3)]), names * 2
            self.hair_of(name).fit(every, names)
            deviation, mean = torch.std_mean(every[:, 0], 0, correction=0)
            luma.copy_(torch.stack([mean, deviation.clamp(min=LEAST)]))
            chroma.copy_(every[:, 1:].square().mean().sqrt().clamp(min=LEAST))

    def wanted(self, images: Tensor, source: str) -> Tensor:
        """The thumbnails [N, 3, 8, 8] that translations of `images` from `source` are to have.

        As light, cell by cell, as they are among their domain, μ_Y + σ_Y · (c − μ_X) / σ_X, after
        Reinhard et al., Color Transfer between Images (2001). Of the same hue and as colourful as
        the other domain, c · ρ_Y / ρ_X: with means and deviations of chroma, too, black would be
        blue where photos are brown. Hair has, in the mean over its cells, the colour that hair of
        its name has in the other domain: the light of photos varies more than their hair, so that
        by the first rule alone blonde was to be a light brown.
        """
        (luma, chroma), (target_luma, target_chroma) = self._of(source), self._of(other(source))
        cells = thumbnail(images)
        away = ((cells[:, :1] - luma[0]) / luma[1]).clamp(-MOST, MOST)
        light = target_luma[0] + target_luma[1] * away
        wanted = torch.cat([light, cells[:, 1:] * (target_chroma / chroma)], 1)
        shares = hair_shares(cells)
        ours, theirs = self.hair_of(source), self.hair_of(other(source))
        change = to_same_name(ours, theirs, cells, mean_colour(wanted, shares))
        return wanted + change[:, :, None, None] * shares

    def hair_of(self, domain: str) -> HairColours:
        """What `fit` learned of the hair in `domain`."""
        found = self.hair[domain]
        assert isinstance(found, HairColours)
        return found

    def _of(self, domain: str) -> tuple[Tensor, Tensor]:
        return getattr(self, f"{domain}_luma"), getattr(self, f"{domain}_chroma")


def counted(thumbnails: Tensor) -> Tensor:
    """The cells that have a colour to keep, all but `FREE`: [N, 3, 8, 8] → [N, 3, 56]."""
    rows, columns = FREE
    above, beside, below = thumbnails.tensor_split((rows.start, rows.stop), 2)
    left, _, right = beside.tensor_split((columns.start, columns.stop), 3)
    return torch.cat([part.flatten(2) for part in (above, left, right, below)], 2)

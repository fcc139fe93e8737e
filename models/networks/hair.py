"""Hair: where it is, what it is called, and what colour that name has in a domain.

All of it is told from thumbnails of 8×8 cells, luma and chroma (`colours.thumbnail`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.colours import CELLS, luma_chroma, thumbnail, to_rgb

# What labels call hair (pipeline/imaging/attributes.py).
NAMES = ("black", "brown", "blonde", "grey", "red", "blue", "green", "pink", "purple")
LEAST = 10  # labelled images of a name; of fewer, a colour says nothing
NEVER = -1e4  # a logit that float16 holds
CROWN = slice(0, 2), slice(1, 7)  # rows and columns that are mostly hair in an aligned face
FACE = slice(2, 6), slice(2, 6)  # and those that are mostly skin and eyes
SHOULDERS = slice(6, None)
BELOW_FRINGE = slice(4, None), slice(2, 6)
ALIKE = 0.15  # of 2: how far from the crown's colour a cell may be and still count as hair
ALIKE_DRAWN = 0.22  # the same of a pixel, which has lights and shadows of its own
LITTLE = 0.02  # of a cell
RIDGE = 0.1  # of the mean variance: 192 numbers of a thumbnail vary together


class HairColours(nn.Module):
    """The names of hair in a domain, told from thumbnails, and the mean colour of each.

    A linear discriminant (Fisher, 1936; Hastie et al., *Elements*, §4.3) on the 192 numbers of a
    thumbnail, every known name as likely as the others. On CelebA's labels it is right as often as
    the recognizer (.80 and .81 of held-out photos, over black, brown, blonde and grey), and needs
    no training. Buffers, by `NAMES`: `weights` [192, 9], `bias` [9], `colours` [9, 3] (luma and
    chroma), `known` [9], 1 or 0.
    """

    weights: Tensor
    bias: Tensor
    colours: Tensor
    known: Tensor

    def __init__(self, persistent: bool) -> None:
        super().__init__()
        count, numbers = len(NAMES), 3 * CELLS**2
        for name, value in {
            "weights": torch.zeros(numbers, count),
            "bias": torch.zeros(count),
            "colours": torch.zeros(count, 3),
            "known": torch.zeros(count),
        }.items():
            self.register_buffer(name, value, persistent=persistent)

    def fit(self, thumbnails: Tensor, names: Sequence[str]) -> None:
        """Learn from thumbnails [N, 3, 8, 8] and what hair each image has, `unknown` of many.

        Unless there are two names that enough images have, none is known.
        """
        groups = {place: [i for i, name in enumerate(names) if name == known]
                  for place, known in enumerate(NAMES)}  # fmt: skip
        groups = {place: rows for place, rows in groups.items() if len(rows) >= LEAST}
        for buffer, value in ((self.weights, 0), (self.bias, NEVER), (self.known, 0)):
            buffer.fill_(value)
        if len(groups) < 2:
            return
        places, cells = list(groups), thumbnails.flatten(1).double()
        means = torch.stack([cells[rows].mean(0) for rows in groups.values()])
        spread = torch.stack([cells[rows].T.cov(correction=0) for rows in groups.values()]).mean(0)
        spread += RIDGE * spread.diagonal().mean() * torch.eye(len(spread)).to(spread)
        weights = torch.linalg.solve(spread, means.T)
        colours = mean_colour(thumbnails, hair_shares(thumbnails))
        self.weights[:, places] = weights.float()
        self.bias[places] = (-0.5 * (means * weights.T).sum(1)).float()
        self.colours[places] = torch.stack([colours[rows].mean(0) for rows in groups.values()])
        self.known[places] = 1

    def likely(self, thumbnails: Tensor) -> Tensor:
        """[N, 3, 8, 8] → the probability of each name, [N, 9]."""
        return (thumbnails.flatten(1).float() @ self.weights + self.bias).softmax(1)


def to_same_name(ours: HairColours, theirs: HairColours, cells: Tensor, now: Tensor) -> Tensor:
    """What brings hair of the colour `now` [N, 3] to that of its name in another domain.

    The name is told from `cells`, thumbnails [N, 3, 8, 8] of images of `ours`. One that the other
    domain lacks, as photos lack blue, asks for no change.
    """
    likely = ours.likely(cells) * (ours.known * theirs.known)
    return likely @ theirs.colours - likely.sum(1, keepdim=True) * now


class HairMatch(nn.Module):
    """Gives the drawn hair of photos the mean colour that its name has among drawings.

    A generator draws hair where it likes, of a colour between those it should have: the loss
    `colour` pulls it there, and stops halfway. What it leaves is one shift of an image's hair,
    which needs no network. The other way it is left out: hair in photos has no such flat colour,
    and shifted it was called by its name less often (.44 of held-out drawings, without .57).
    """

    def __init__(self) -> None:
        super().__init__()
        self.photos, self.anime = HairColours(persistent=True), HairColours(persistent=True)

    def take(self, photos: HairColours, anime: HairColours) -> None:
        """Take over what was learned of both domains."""
        for own, learned in ((self.photos, photos), (self.anime, anime)):
            own.load_state_dict(dict(learned.named_buffers()))

    def forward(self, drawn: Tensor, photos: Tensor) -> Tensor:
        """Drawings [N, 3, S, S] of `photos`, both in [-1, 1] → the same, their hair shifted."""
        pixels = luma_chroma(drawn.float())
        cells = F.adaptive_avg_pool2d(pixels, CELLS)
        now = mean_colour(cells, hair_shares(cells))
        change = to_same_name(self.photos, self.anime, thumbnail(photos.float()), now)
        where = torch.ones(1, 1, CELLS, CELLS, device=drawn.device)
        where[:, :, *BELOW_FRINGE] = 0
        where = F.interpolate(where, drawn.shape[2:], mode="bilinear")
        shares = _alike(pixels, crown(cells), ALIKE_DRAWN) * where
        return (drawn + to_rgb(change[:, :, None, None]) * shares).clamp(-1, 1)


def hair_shares(thumbnails: Tensor) -> Tensor:
    """How much of each cell of thumbnails [N, 3, 8, 8] is hair: [N, 1, 8, 8] in 0…1.

    The crown says what colour it has; cells of that colour beside the face are hair, too.
    """
    where = torch.ones(1, 1, CELLS, CELLS, device=thumbnails.device)
    where[:, :, *FACE] = 0
    where[:, :, SHOULDERS] = 0
    return _alike(thumbnails, crown(thumbnails), ALIKE) * where


def crown(thumbnails: Tensor) -> Tensor:
    """The median colour of the crown: [N, 3, 8, 8] → [N, 3]."""
    cells = thumbnails[:, :, *CROWN].flatten(2)
    middle = (cells.shape[2] + 1) // 2  # as `median`, which ONNX does not have
    return cells.topk(middle, dim=2, largest=False).values[:, :, -1]


def _alike(pixels: Tensor, colour: Tensor, width: float) -> Tensor:
    """[N, 3, H, W] and [N, 3] → how much each pixel has that colour, [N, 1, H, W] in 0…1."""
    away = (pixels - colour[:, :, None, None]).square().sum(1, keepdim=True)
    return torch.exp(away / (-2 * width**2))


def mean_colour(thumbnails: Tensor, shares: Tensor) -> Tensor:
    """Of cells [N, 3, 8, 8] that count by `shares` [N, 1, 8, 8], which may be next to none:
    [N, 3]."""
    return (thumbnails * shares).sum((2, 3)) / shares.sum((2, 3)).clamp(min=LITTLE)

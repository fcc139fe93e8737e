"""Hair in thumbnails: where it is, what it is called, and what colour that name has in a domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.data.conditioning import UNKNOWN

LEAST = 10  # labelled images of a name; of fewer, a colour says nothing
CROWN = slice(0, 2), slice(1, 7)  # rows and columns that are mostly hair in an aligned face
FACE = slice(2, 6), slice(2, 6)  # and those that are mostly skin and eyes
SHOULDERS = slice(6, None)
ALIKE = 0.15  # of 2: how far from the crown's colour a cell may be and still count as hair
LITTLE = 0.02  # of a cell
RIDGE = 0.1  # of the mean variance: 192 numbers of a thumbnail vary together


class HairColours(nn.Module):
    """The names of hair in a domain, told from thumbnails, and the mean colour of each.

    A linear discriminant (Fisher, 1936; Hastie et al., *Elements*, §4.3) on the 192 numbers of a
    thumbnail, every name as likely as the others. On CelebA's labels it is right as often as the
    recognizer (.80 and .81 of held-out photos, over black, brown, blonde and grey), and a training
    needs no recognizer for it. Its numbers follow from the data, so no saved state has them.
    """

    weights: Tensor  # [192, K]
    bias: Tensor  # [K]
    colours: Tensor  # [K, 3], luma and chroma

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        for name, shape in {"weights": (192, 0), "bias": (0,), "colours": (0, 3)}.items():
            self.register_buffer(name, torch.zeros(shape), persistent=False)

    def fit(self, thumbnails: Tensor, names: Sequence[str]) -> None:
        """Learn from thumbnails [N, 3, 8, 8] and what hair each image has, `unknown` of many.

        Without two names that enough images have, `names` stays empty.
        """
        counts = Counter(name for name in names if name != UNKNOWN)
        self.names = sorted(name for name, count in counts.items() if count >= LEAST)
        if len(self.names) < 2:
            self.names = []
            return
        groups = [[i for i, name in enumerate(names) if name == known] for known in self.names]
        cells = thumbnails.flatten(1).double()
        means = torch.stack([cells[rows].mean(0) for rows in groups])
        inner = [cells[rows].T.cov(correction=0) for rows in groups]
        spread = torch.stack(inner).mean(0)
        spread += RIDGE * spread.diagonal().mean() * torch.eye(len(spread)).to(spread)
        weights = torch.linalg.solve(spread, means.T)
        self.weights = weights.float()
        self.bias = (-0.5 * (means * weights.T).sum(1)).float()
        colours = mean_colour(thumbnails, hair_shares(thumbnails))
        self.colours = torch.stack([colours[rows].mean(0) for rows in groups])

    def likely(self, thumbnails: Tensor) -> Tensor:
        """[N, 3, 8, 8] → the probability of each name, [N, K]."""
        return (thumbnails.flatten(1).float() @ self.weights + self.bias).softmax(1)


def hair_shares(thumbnails: Tensor) -> Tensor:
    """How much of each cell of thumbnails [N, 3, 8, 8] is hair: [N, 1, 8, 8] in 0…1.

    The crown says what colour it has; cells of that colour beside the face are hair, too.
    """
    crown = thumbnails[:, :, *CROWN].flatten(2).median(2).values[:, :, None, None]
    away = (thumbnails - crown).square().sum(1, keepdim=True)
    shares = torch.exp(away / (-2 * ALIKE**2))
    somewhere = torch.ones_like(shares[:1])
    somewhere[:, :, *FACE] = 0
    somewhere[:, :, SHOULDERS] = 0
    return shares * somewhere


def mean_colour(thumbnails: Tensor, shares: Tensor) -> Tensor:
    """Of cells [N, 3, 8, 8] that count by `shares` [N, 1, 8, 8], which may be next to none:
    [N, 3]."""
    return (thumbnails * shares).sum((2, 3)) / shares.sum((2, 3)).clamp(min=LITTLE)

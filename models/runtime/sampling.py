"""Which rows a step sees and which random numbers it draws: pure functions of seed and position.

Nothing here has to be saved: a resumed run computes the same as one that was never stopped.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Order:
    """Endless shuffled passes over `size` rows; `stream` separates data sets of one seed."""

    def __init__(self, size: int, seed: int, stream: int) -> None:
        self.size, self.seed, self.stream = size, seed, stream
        self._epoch, self._rows = -1, np.empty(0, dtype=np.int64)

    def rows(self, start: int, count: int) -> Tensor:
        """Rows at positions start … start + count − 1: int64 [count]."""
        return torch.tensor([self._row(position) for position in range(start, start + count)])

    def _row(self, position: int) -> int:
        epoch, offset = divmod(position, self.size)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, self.stream, epoch])
            self._epoch, self._rows = epoch, rng.permutation(self.size)
        return int(self._rows[offset])


def reseed(seed: int, rank: int, images_seen: int) -> None:
    """Seed torch for the step that starts at `images_seen` on process `rank`."""
    words = np.random.SeedSequence([seed, rank, images_seen]).generate_state(2)
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))

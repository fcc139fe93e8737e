"""Averages of the losses between two log points, summed on the device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from models.errors import ModelError


class Meter:
    """Running sums; only `means` waits for the device."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}  # of a term's steps: not every step has every term

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add one step's 0-d tensors."""
        for name, value in terms.items():
            value = value.detach()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self, images: int) -> dict[str, float]:
        """Mean of each term since the last reset.

        Raises ModelError naming the first term that is not finite: a NaN stays in its sum, so a
        check at log points misses none. `images` is only for the message.
        """
        if not self.sums:
            return {}
        values = torch.stack(list(self.sums.values())).tolist()  # a CPU-GPU sync point
        means = {k: v / self.counts[k] for k, v in zip(self.sums, values, strict=True)}
        for name, value in means.items():
            if not math.isfinite(value):
                raise ModelError(
                    f"loss {name!r} became {value} by image {images}: lower lr or that loss's "
                    "weight, or set precision to fp32; the last saved state is from before"
                )
        return means

    def reset(self) -> None:
        """Start the next window."""
        self.sums, self.counts = {}, {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.sums, self.counts = state["sums"], state["counts"]

"""Averages of the losses between two log points, summed on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.errors import ModelError


class Meter:
    """Running sums; only `means` waits for the device."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add one step's 0-d tensors."""
        for name, value in terms.items():
            value = value.detach()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1

    def means(self, images: int) -> dict[str, float]:
        """Mean of each term since the last reset.

        Raises ModelError naming the first term that is not finite: a NaN stays in its sum, so a
        check at log points misses none. `images` is only for the message.
        """
        if not self.steps:
            return {}
        values = torch.stack(list(self.sums.values())).tolist()  # a CPU-GPU sync point
        means = {name: value / self.steps for name, value in zip(self.sums, values, strict=True)}
        for name, value in means.items():
            if not math.isfinite(value):
                raise ModelError(
                    f"loss {name!r} became {value} by image {images}: lower lr or that loss's "
                    "weight, or set precision to fp32; the last saved state is from before"
                )
        return means

    def reset(self) -> None:
        """Start the next window."""
        self.sums, self.steps = {}, 0

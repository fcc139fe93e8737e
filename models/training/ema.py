"""Exponential moving average of weights: smoother translations than the last step's."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class EMA(Generic[Network]):
    """Average of a network's weights with a half-life counted in images.

    β = ½^(batch / min(half_life, ramp · images_seen)): early on the half-life is a fraction of
    what was seen, so that a short run is not dominated by its first, random weights (Karras et
    al., StyleGAN2-ADA, 2020, appendix B; rampup 0.05 in their code).
    """

    def __init__(self, network: Network, half_life: float, ramp: float = 0.05) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life, self.ramp = half_life, ramp

    def beta(self, images_seen: int, batch: int) -> float:
        """How much of the old average stays after a step that ended at `images_seen`."""
        return 0.5 ** (batch / max(min(self.half_life, self.ramp * images_seen), 1e-8))

    @torch.no_grad()
    def update(self, network: nn.Module, images_seen: int, batch: int) -> None:
        """average ← β · average + (1 − β) · weights."""
        averages: list[Tensor] = list(self.network.parameters())
        weights: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averages, weights, 1 - self.beta(images_seen, batch))

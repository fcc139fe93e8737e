"""How weights are updated, in pretraining and in training, and their moving average."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from models.runtime.distributed import average

BETAS = (0.5, 0.999)  # Adam, as CycleGAN publishes it

Network = TypeVar("Network", bound=nn.Module)


def adam(weights: list[nn.Parameter]) -> torch.optim.Adam:
    """Adam with CycleGAN's betas; `update` gives the rate of each step."""
    return torch.optim.Adam(weights, lr=0.0, betas=BETAS, fused=True)


def update(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """One step along the gradients, averaged over all processes, which are then dropped."""
    (group,) = optimizer.param_groups
    group["lr"] = lr
    average([w.grad for w in group["params"] if w.grad is not None])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


class EMA(Generic[Network]):
    """Exponential moving average of a network's weights, its half-life counted in images.

    It translates more smoothly than the last step's weights. β = ½^(batch / min(half_life, ramp ·
    images_seen)): early on the half-life is a fraction of what was seen, so that a short run is not
    dominated by its first, random weights (Karras et al., StyleGAN2-ADA, 2020, appendix B; rampup
    0.05 in their code).
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

"""How weights are updated: the same in pretraining and in training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from models.runtime.distributed import average

BETAS = (0.5, 0.999)  # Adam, as CycleGAN publishes it


def adam(weights: list[torch.nn.Parameter]) -> torch.optim.Adam:
    """Adam with CycleGAN's betas; the rate is set anew each step."""
    return torch.optim.Adam(weights, lr=0.0, betas=BETAS, fused=True)


def update(
    optimizer: torch.optim.Optimizer,
    losses: Iterable[Tensor],
    weights: list[torch.nn.Parameter],
    lr: float,
) -> None:
    """One step on `weights`, and on nothing else that the losses depend on.

    It follows the sum of the losses, each of which is asked for once the one before is done with,
    averaged over all processes.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    for loss in losses:
        torch.autograd.backward(loss, inputs=weights)
    average([w.grad for w in weights if w.grad is not None])
    optimizer.step()

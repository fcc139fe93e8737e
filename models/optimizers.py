"""How weights are updated: the same in pretraining and in training."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS = (0.5, 0.999)  # Adam, as CycleGAN publishes it


def adam(weights: list[torch.nn.Parameter]) -> torch.optim.Adam:
    """Adam with CycleGAN's betas; the rate is set anew each step."""
    return torch.optim.Adam(weights, lr=0.0, betas=BETAS, fused=True)


def update(
    optimizer: torch.optim.Optimizer, loss: Tensor, weights: list[torch.nn.Parameter], lr: float
) -> None:
    """One step on `weights`, and on nothing else that the loss depends on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss, inputs=weights)
    optimizer.step()

"""Norms: what brings the activations of a layer to one scale."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def instance_norm(x: Tensor) -> Tensor:
    """Each channel of each image to mean 0, variance 1: dense [N, C, H, W] → the same shape.

    A group norm of one channel a group. On a CPU F.instance_norm is 20 times less exact in bfloat16
    where a channel's mean is 30 times its deviation, and of a single image its gradients are wrong
    where they arrive in channels_last (torch 2.14).
    """
    return F.group_norm(x, x.shape[1])


class Norm2d(nn.Module):
    """ "instance": each channel of each image to mean 0, variance 1 (Ulyanov et al., 2016).
    "layer": all channels of an image together, which keeps its colours (U-GAT-IT, 2020).

    F.group_norm is slow in channels_last: two copies around it are faster. The layer norm needs
    none, since in its sums the order of an image's values plays no part.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape and memory format."""
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        if self.kind == "layer" and channels_last:
            rows = x.permute(0, 2, 3, 1)
            return F.layer_norm(rows, rows.shape[1:]).permute(0, 3, 1, 2)
        x = x.contiguous()
        y = instance_norm(x) if self.kind == "instance" else F.group_norm(x, 1)
        return y.contiguous(memory_format=torch.channels_last) if channels_last else y


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        outwards = ((x < 0) & (grad > 0)) | ((x > 1) & (grad < 0))
        return grad.masked_fill(outwards, 0)


def clip_share(x: Tensor) -> Tensor:
    """x clipped to [0, 1], whose gradient is stopped only where descent would lead further out.

    U-GAT-IT clips ρ after each step. A plain clamp in the forward pass would not do: a ρ that once
    left the interval, as half of those that start at 0 do, would never get a gradient again.
    """
    return _Clip.apply(x)


def mixed_norm(x: Tensor, rho: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """γ·(ρ·a_I + (1 − ρ)·a_L) + β: instance norm a_I and layer norm a_L of x in shares of ρ.

    Kim et al., U-GAT-IT (2020), eq. 1. `x`: [N, C, H, W], whose memory format and dtype stay;
    `rho`: [C, 1, 1], clipped to [0, 1]; `gamma`, `beta`: [C, 1, 1] or [N, C, 1, 1].
    """
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    rho, dense = clip_share(rho), x.contiguous()
    mixed = rho * instance_norm(dense) + (1 - rho) * F.group_norm(dense, 1)
    y = (gamma * mixed + beta).to(x.dtype)
    return y.contiguous(memory_format=torch.channels_last) if channels_last else y


class LIN(nn.Module):
    """Layer-instance norm: `mixed_norm` with a learned ρ, γ and β a channel (U-GAT-IT, 2020).

    ρ starts at 0, the layer norm.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.zeros(channels, 1, 1))
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape and memory format."""
        return mixed_norm(x, self.rho, self.gamma, self.beta)


class AdaLIN(nn.Module):
    """Adaptive layer-instance norm: `mixed_norm` with γ and β from outside (U-GAT-IT, 2020).

    ρ starts at 0.9, mostly the instance norm.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((channels, 1, 1), 0.9))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """[N, C, H, W], twice [N, C, 1, 1] → the shape and memory format of `x`."""
        return mixed_norm(x, self.rho, gamma, beta)


def norm2d(kind: str, channels: int) -> nn.Module:
    """The norm after a convolution. Of "adalin", the LIN that needs nothing from outside."""
    return LIN(channels) if kind == "adalin" else Norm2d(kind)

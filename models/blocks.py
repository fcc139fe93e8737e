"""The blocks that generators and discriminators are built of."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Norm2d(nn.Module):
    """ "instance": each channel of each image to mean 0, variance 1 (Ulyanov et al., 2016).
    "layer": all channels of an image together, which keeps its colours (U-GAT-IT, 2020).

    F.instance_norm drops channels_last (pytorch#72341), and F.group_norm is slow in it: the stock
    kernels and one copy back are fastest on CPU.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape and memory format."""
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        x = x.contiguous()
        y = F.instance_norm(x) if self.kind == "instance" else F.group_norm(x, 1)
        return y.contiguous(memory_format=torch.channels_last) if channels_last else y


def conv_block(inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU. No bias: an instance norm would remove it."""
    padding: Literal["reflect", "zeros"] = "reflect" if stride == 1 else "zeros"
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode=padding, bias=False)
    return nn.Sequential(conv, Norm2d(norm), nn.ReLU(inplace=True))


def upsample_block(inputs: int, outputs: int, norm: str, mode: str) -> nn.Sequential:
    """Twice the resolution: "transposed" as published, "nearest" against checkerboards."""
    if mode == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2), conv_block(inputs, outputs, 3, norm))
    conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False)
    return nn.Sequential(conv, Norm2d(norm), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), reflection padding. Johnson et al. (2016)."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.body = nn.Sequential(conv_block(channels, channels, 3, norm), second, Norm2d(norm))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        return x + self.body(x)


def init_weights(module: nn.Module, std: float = 0.02) -> None:
    """Convolutions and linear layers ~ N(0, 0.02²), biases 0. Zhu et al., CycleGAN (2017), §7.1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

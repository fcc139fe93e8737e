"""The blocks that generators and discriminators are built of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.norms import AdaLIN, Norm2d, norm2d


def pad_reflected(x: Tensor, width: int) -> Tensor:
    """[N, C, H, W] → [N, C, H + 2·width, W + 2·width], dtype and memory format as they are.

    Autocast on a CPU would pad in float32, which is two conversions of every activation. On a GPU
    the gradients of F.pad depend on the order in which threads add: where the bits have to be the
    same (`models.runtime.device.deterministic`), flipped borders are put beside the image instead.
    """
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return pad_with_flips(x, width)
    with torch.autocast(x.device.type, enabled=False):
        return F.pad(x, [width] * 4, mode="reflect")


def pad_with_flips(x: Tensor, width: int) -> Tensor:
    """The values of `pad_reflected`, of operators whose gradients are sums in a fixed order."""
    for dim in (2, 3):
        before = x.narrow(dim, 1, width).flip(dim)
        after = x.narrow(dim, x.shape[dim] - width - 1, width).flip(dim)
        x = torch.cat([before, x, after], dim)
    return x


class Blur(nn.Module):
    """[1, 2, 1]ᵀ·[1, 2, 1] / 16 with reflected borders, then every `stride`-th pixel.

    With stride 2 that is BlurPool: what a smaller image cannot hold is gone before pixels are
    dropped (Zhang, Making Convolutional Networks Shift-Invariant Again, 2019). Two means of 2×2
    pixels in a row are this filter.
    """

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] of at least 2×2 → [N, C, ⌈H/stride⌉, ⌈W/stride⌉], same memory format."""
        padded = pad_reflected(x, 1)
        return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, self.stride)


class ReflectedConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the size, over an input with reflected borders."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, bias=bias)
        self.border = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] → [N, outputs, H, W]."""
        return super().forward(pad_reflected(x, self.border))


def conv_block(
    inputs: int, outputs: int, kernel: int, norm: str, stride: int = 1, antialias: bool = False
) -> nn.Sequential:
    """Convolution, norm, ReLU. No bias: an instance norm would remove it.

    `antialias`: every pixel is convolved, and the stride is a BlurPool's after the ReLU (Zhang,
    2019, §3.2), which takes four times the multiplications.
    """
    inner = 1 if antialias else stride
    conv = (
        ReflectedConv2d(inputs, outputs, kernel, bias=False)
        if inner == 1
        else nn.Conv2d(inputs, outputs, kernel, inner, kernel // 2, bias=False)
    )
    blur = [Blur(stride)] if inner < stride else []
    return nn.Sequential(conv, norm2d(norm, outputs), _relu(norm), *blur)


def _relu(norm: str) -> nn.ReLU:
    """In place, but not after a layer norm: its output is a view, which autograd would copy."""
    return nn.ReLU(inplace=norm != "layer")


def upsample_block(
    inputs: int, outputs: int, norm: str, mode: str, antialias: bool = False
) -> nn.Sequential:
    """Twice the resolution: "transposed" as published, "nearest" or "bilinear", then a convolution.

    `antialias` blurs what was upsampled: after nearest neighbours that is bilinear interpolation.
    """
    if mode != "transposed":
        return nn.Sequential(_enlarge(mode, antialias), conv_block(inputs, outputs, 3, norm))
    layers = _transposed(inputs, outputs, antialias, bias=False)
    return nn.Sequential(*layers, norm2d(norm, outputs), _relu(norm))


def upsample_to_rgb(inputs: int, mode: str, antialias: bool = False) -> nn.Sequential:
    """`upsample_block` without norm and ReLU: [N, inputs, H, W] → [N, 3, 2H, 2W], unbounded."""
    if mode != "transposed":
        conv = ReflectedConv2d(inputs, 3, 3)
        return nn.Sequential(_enlarge(mode, antialias), conv)
    return nn.Sequential(*_transposed(inputs, 3, antialias, bias=True))


def _enlarge(mode: str, antialias: bool) -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear" if antialias else mode)


def _transposed(inputs: int, outputs: int, antialias: bool, bias: bool) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1, bias=bias)
    return [conv, Blur()] if antialias else [conv]


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), reflection padding. Johnson et al. (2016)."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        second = ReflectedConv2d(channels, channels, 3, bias=False)
        self.body = nn.Sequential(conv_block(channels, channels, 3, norm), second, Norm2d(norm))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        return x + self.body(x)


class AdaLINBlock(nn.Module):
    """A `ResidualBlock` whose two norms are AdaLIN, with the same γ and β (U-GAT-IT, 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = [ReflectedConv2d(channels, channels, 3, bias=False) for _ in range(2)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList([AdaLIN(channels) for _ in range(2)])

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """[N, C, H, W], twice [N, C, 1, 1] → the shape of `x`."""
        inner = self.norms[0](self.convs[0](x), gamma, beta).relu()
        return x + self.norms[1](self.convs[1](inner), gamma, beta)


class AdaLINBlocks(nn.Module):
    """Residual blocks that share one γ and β, which an MLP makes of the pooled input.

    U-GAT-IT (2020), fig. 2. γ is 1 + the MLP's output, so that blocks whose weights are still small
    start as plain ones.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.style = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU(),
            nn.Linear(channels, 2 * channels),
        )  # fmt: skip
        self.blocks = nn.ModuleList([AdaLINBlock(channels) for _ in range(count)])

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        gamma, beta = self.style(x.mean((2, 3)))[:, :, None, None].chunk(2, dim=1)
        for block in self.blocks:
            x = block(x, 1 + gamma, beta)
        return x


def init_weights(module: nn.Module, std: float = 0.02) -> None:
    """Convolutions and linear layers ~ N(0, 0.02²), biases 0. Zhu et al., CycleGAN (2017), §7.1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""EfficientNet-Lite0 and Lite1 with public ImageNet weights: frozen features of pictures.

Tan and Le, *EfficientNet*, 2019 (arXiv:1905.11946), in the form for small devices: ReLU6, and no
squeeze-and-excitation. The weights were trained in TensorFlow, so strides pad as it does.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.knobs import refuse_unknown
from models.public.door import weights_file
from models.public.table import Use
from models.runtime.device import pick_device

CHANNELS = (24, 40, 112, 320)  # of `stages`, at 1/4, 1/8, 1/16 and 1/32 of the side
POOLED = 1280  # values of `pooled`
# Rows of (repeats, kernel, stride, expansion, channels), grouped by the side they end at.
ROWS = (
    ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24)),
    ((2, 5, 2, 6, 40),),
    ((3, 3, 2, 6, 80), (3, 5, 1, 6, 112)),
    ((4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
DEPTH = {"efficientnet_lite0": 1.0, "efficientnet_lite1": 1.1}  # times the repeats


class EfficientNet(nn.Module):
    """A frozen classifier of ImageNet's 1000 classes.

    Images are RGB in 0 to 255, uint8 or float [N, 3, H, W] of any size; gradients reach them.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, kernel=3, stride=2)
        self.groups, inputs = nn.ModuleList(), 32
        for rows in ROWS:
            group = nn.Sequential()
            for repeats, kernel, stride, expansion, outputs in rows:
                # The first and the last row are single blocks at every depth.
                times = math.ceil(repeats * DEPTH[name]) if repeats > 1 else 1
                for i in range(times):
                    group.append(Block(inputs, outputs, kernel, 1 if i else stride, expansion))
                    inputs = outputs
            self.groups.append(group)
        self.head = ConvNorm(inputs, POOLED)
        self.classifier = nn.Linear(POOLED, 1000)
        self.requires_grad_(False).eval()

    def stages(self, images: Tensor, most: int = 4) -> list[Tensor]:
        """The first maps [N, C, H/s, W/s], rounded up, of `CHANNELS` at s = 4, 8, 16 and 32."""
        x, maps = self.stem((images.float() - 127) / 128), []
        for group in self.groups[:most]:
            x = group(x)
            maps.append(x)
        return maps

    def pooled(self, images: Tensor) -> Tensor:
        """[N, 1280] in 0 to 6: the last layer before the classes, averaged over the picture."""
        return self.head(self.stages(images)[-1]).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, 1000] of ImageNet's classes."""
        return self.classifier(self.pooled(images))


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; plus the input where it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.layers = nn.Sequential(
            *([ConvNorm(inputs, wide)] if expansion > 1 else []),
            ConvNorm(wide, wide, kernel, stride, groups=wide),
            ConvNorm(wide, outputs, active=False),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class ConvNorm(nn.Module):
    """Convolution, batch norm and, where `active`, ReLU6; [N, C, H, W], sides rounded up."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        around = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, around, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.conv.kernel_size, self.conv.stride
        if stride > 1:
            x = F.pad(x, [*_same(x.shape[3], kernel, stride), *_same(x.shape[2], kernel, stride)])
        x = self.norm(self.conv(x))
        return F.relu6(x, inplace=True) if self.active else x

    def fuse(self) -> None:
        """Take the norm into the convolution: a third faster, and no statistics can move."""
        assert isinstance(self.norm, nn.BatchNorm2d)
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow's SAME: those left over come after."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def load(name: str, *, use: Use, device: str = "auto") -> EfficientNet:
    """The network ``name``, of `DEPTH`, with its public weights, on ``device``.

    Raises ModelError where the weights are not here, or are not for this ``use``.
    """
    refuse_unknown("network", [name], DEPTH)
    weights = torch.load(weights_file(name, use=use), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # no initial weights, so no random number is drawn
        network = EfficientNet(name)
    # The file has other names for the same tensors, in the same order.
    renamed = dict(zip(network.state_dict(), weights.values(), strict=True))
    network.load_state_dict(renamed, assign=True)
    for part in network.modules():
        if isinstance(part, ConvNorm):
            part.fuse()
    return network.to(memory_format=torch.channels_last).to(pick_device(device))

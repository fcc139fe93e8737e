"""A discriminator that looks at a frozen network's features in place of pixels.

Sauer et al., *Projected GANs Converge Faster*, 2021 (arXiv:2111.01007): frozen features, random
channel mixing and cross-scale fusion that are never trained, and a small head a scale.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.networks.discriminators import Discriminator
from models.public import efficientnet

NETWORK = "efficientnet_lite0"  # frozen; what evaluates is another
SCALES = 3  # of its stages: 1/4, 1/8 and 1/16 of the side
DEVIATION = (8.6, 8.0, 7.2)  # of those stages on aligned faces of both domains, measured
WIDTHS = (32, 64, 128)  # channels that each stage is mixed to
LEAST_SIDE = 128  # pixels; smaller images are enlarged, or the deepest map would be too coarse
LAST_SIDE = 4  # of the map that a head scores
GROUPS = 8


class FrozenFeatures(nn.Module):
    """Stages of a public classifier, of deviation 1: no weight of it is trained or saved."""

    def __init__(self) -> None:
        """Raises ModelError where the weights are not here."""
        super().__init__()
        self.network = efficientnet.load(NETWORK, use="training", device="cpu")
        for part in self.network.modules():  # buffers: no optimizer, state or gradient sees them
            for name, weight in list(part.named_parameters(recurse=False)):
                delattr(part, name)
                part.register_buffer(name, weight.detach(), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Float [N, 3, S, S] in [-1, 1] → maps [N, C, side/s, side/s] at s = 4, 8, 16."""
        side = features_side(images.shape[-1])
        if images.shape[-1] != side:
            images = F.interpolate(images, size=side, mode="bilinear", align_corners=False)
        with torch.autocast(images.device.type, enabled=images.is_cuda):
            # Depthwise convolutions of a CPU are ten times slower in bfloat16.
            maps = self.network.stages((images.float() + 1) * 127.5, SCALES)
        return [x.float() / deviation for x, deviation in zip(maps, DEVIATION, strict=True)]


class Mixing(nn.Module):
    """Random convolutions, drawn once and never trained: channels are mixed (1×1), then coarse
    maps are brought into the finer ones (3×3), so that each head sees all that lies below it.

    Without them a head would look at the few channels that give translations away, and generators
    would learn to please those alone (Sauer et al., 2021, §4).
    """

    def __init__(self) -> None:
        super().__init__()
        for i, (stage, width) in enumerate(zip(efficientnet.CHANNELS, WIDTHS, strict=False)):
            self.register_buffer(f"mix{i}", _random(width, stage, 1))
        for i, (fine, coarse) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
            self.register_buffer(f"narrow{i}", _random(fine, coarse, 1))
            self.register_buffer(f"fuse{i}", _random(fine, fine, 3))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of `FrozenFeatures` → as many of `WIDTHS` channels, the finest first."""
        mixed = [F.conv2d(x, self.get_buffer(f"mix{i}")) for i, x in enumerate(maps)]
        for i in reversed(range(len(mixed) - 1)):
            coarse = F.conv2d(mixed[i + 1], self.get_buffer(f"narrow{i}"))
            coarse = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
            mixed[i] = mixed[i] + F.conv2d(coarse, self.get_buffer(f"fuse{i}"), padding=1)
        return mixed


class Head(nn.Module):
    """Scores one map: stride-2 convolutions under spectral norm down to 4×4, [N, C, s, s] → [N, 1,
    4, 4]. With labels it is a projection discriminator, see `PatchDiscriminator`."""

    def __init__(self, inputs: int, side: int, channels: int, label_width: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = inputs
        for i in range(round(math.log2(side / LAST_SIDE))):
            outputs = channels * min(2**i, 2)
            layers += [_conv(width, outputs, 4, 2, 1), nn.GroupNorm(GROUPS, outputs)]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            width = outputs
        layers += [_conv(width, width, 3, 1, 1), nn.LeakyReLU(0.2, inplace=True)]
        self.body, self.score = nn.Sequential(*layers), _conv(width, 1, 1)
        self.project = (
            spectral_norm(nn.Linear(label_width, width, bias=False)) if label_width else None
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores, and how well the labels [N, label_width] fit, where there are any."""
        features = self.body(x)
        scores = self.score(features)
        if self.project is None:
            return scores
        assert labels is not None
        return scores + (self.project(labels)[:, :, None, None] * features).sum(1, keepdim=True)


class ProjectedDiscriminator(Discriminator):
    """One verdict a scale of frozen features: the module's docstring has the paper.

    What is trained is small (`channels` of 64: 1.1 million weights), so it learns fast, and can win
    early: see `discriminator_rate` and `discriminator_blur` of a variant.
    """

    def __init__(
        self, features: FrozenFeatures, image_size: int, channels: int = 64, label_width: int = 0
    ) -> None:
        """``features`` may be shared with other discriminators."""
        super().__init__()
        self.features, self.mixing = features, Mixing()
        side = features_side(image_size)
        self.heads = nn.ModuleList(
            Head(width, side // 2 ** (i + 2), channels, label_width)
            for i, width in enumerate(WIDTHS)
        )

    def verdicts(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Float [N, 3, S, S] in [-1, 1] → unbounded scores [N, 1, 4, 4], one a scale."""
        maps = self.mixing(self.features(images))
        return [head(x, labels) for head, x in zip(self.heads, maps, strict=True)]

    def compiled(self) -> list[nn.Module]:
        """See `Discriminator`."""
        return [self.features, self.mixing, *self.heads]


def features_side(image_size: int) -> int:
    """Pixels of the side that features are computed at."""
    return max(image_size, LEAST_SIDE)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def _random(outputs: int, inputs: int, kernel: int) -> Tensor:
    """Weights that keep the deviation of what they are applied to (He et al., 2015)."""
    weights = torch.empty(outputs, inputs, kernel, kernel)
    return nn.init.kaiming_normal_(weights, nonlinearity="linear")

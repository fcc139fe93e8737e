"""Discriminators: of images by their patches, and of codes by their domain."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.networks.attention import ClassActivationAttention
from models.networks.blocks import Blur, init_weights
from models.networks.norms import Norm2d
from models.networks.translator import code_vector


class Discriminator(nn.Module, ABC):
    """Tells real images of one domain from translations: what losses and the engine know of it."""

    @abstractmethod
    def verdicts(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """All that the adversarial loss looks at: unbounded scores of any shape, above 0 for real
        (1 with least squares), of float images [N, 3, S, S] in [-1, 1]. With `labels`, float
        [N, label_width], how well image and labels go together counts, too."""

    @abstractmethod
    def compiled(self) -> list[nn.Module]:
        """The parts that `torch.compile` takes, each for itself."""


class PatchDiscriminator(Discriminator):
    """PatchGAN (Isola et al., 2017): scores overlapping patches, [N, 3, S, S] → [N, 1, s, s].

    With labels it is a projection discriminator (Miyato & Koyama, 2018, eq. 3).

    `layers` stride-2 convolutions, then two of stride 1. The published 3 make a patch of 70
    pixels, which at 64 px sees the whole face; 2 make one of 34 pixels. With `antialias` the
    strides are those of a `Blur` after each activation. With `attention` "cam" the features are
    weighed by two auxiliary classifiers, whose logits are of the whole image (Kim et al., U-GAT-IT,
    2020, §3.1.2).
    """

    def __init__(
        self,
        channels: int = 64,
        layers: int = 3,
        norm: str = "instance",
        label_width: int = 0,
        antialias: bool = False,
        attention: str = "none",
    ) -> None:
        super().__init__()
        widths = [min(channels * 2**i, channels * 8) for i in range(layers + 1)]
        instance = norm == "instance"  # which removes a bias, and the first layer has none
        halving = 1 if antialias else 2
        body: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, halving, 1)]
        body.append(nn.LeakyReLU(0.2, inplace=True))
        for i in range(1, layers + 1):
            body += [Blur(2)] if antialias else []
            stride = halving if i < layers else 1
            body.append(nn.Conv2d(widths[i - 1], widths[i], 4, stride, 1, bias=not instance))
            body += [Norm2d("instance")] if instance else []
            body.append(nn.LeakyReLU(0.2, inplace=True))
        self.body, self.score = nn.Sequential(*body), nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.project = nn.Linear(label_width, widths[-1], bias=False) if label_width else None
        self.apply(init_weights)
        # Made last, as the generator's, with torch's own initial weights.
        leaky = nn.LeakyReLU(0.2, inplace=True)
        self.cam = ClassActivationAttention(widths[-1], leaky) if attention == "cam" else None
        if norm == "spectral":  # largest singular value 1: Miyato et al. (2018)
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Float [N, 3, S, S] in [-1, 1] → unbounded scores [N, 1, s, s], 1 for real."""
        return self.verdicts(images, labels)[0]

    def verdicts(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The scores of `forward` and, where there is an attention, its logits [N, 2]."""
        features, logits = self.body(images), []
        if self.cam is not None:
            features, known = self.cam(features)
            logits = [known]
        scores = self.score(features)
        if self.project is not None:
            assert labels is not None
            fit = (self.project(labels)[:, :, None, None] * features).sum(1, keepdim=True)
            scores = scores + F.avg_pool2d(fit, 4, 1, 1)  # over the patches that `score` sees
        return [scores, *logits]

    def compiled(self) -> list[nn.Module]:
        """See `Discriminator`."""
        return [self.body]


class DomainClassifier(nn.Module):
    """Which domain a code came from: [N, C, h, w] or [N, E] → one logit each, [N, 1].

    Two hidden layers on the position-averaged code (XGAN's c_dann; Ganin & Lempitsky, 2015).
    """

    def __init__(self, code_channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code_channels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, code: Tensor) -> Tensor:
        """[N, C, h, w] or [N, E] → [N, 1]; above 0 means anime."""
        return self.layers(code_vector(code))

"""Networks: two encoders and two decoders, patch discriminators, a domain classifier.

CycleGAN's ResNet generator (Johnson et al., 2016; Zhu et al., 2017) is cut in the middle of its
residual blocks into an encoder and a decoder. The photos → anime generator is then
decoder["anime"] ∘ encoder["photos"], and XGAN (Royer et al., 2017) is the same four pieces with
the deep half of the encoders, and of the decoders, shared between the domains.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.data.conditioning import width
from models.domains import DIRECTIONS, DOMAINS
from models.errors import ModelError
from models.networks.attention import ClassActivationAttention
from models.networks.blocks import Blur, init_weights
from models.networks.halves import HALVES
from models.networks.norms import Norm2d
from models.variants import Variant


class TranslationNetwork(nn.Module):
    """Encoders and decoders of both domains; every generator is a decoder after an encoder.

    With `variant.shared` the deep halves are one module for both domains (XGAN); without, each
    domain has its own (CycleGAN). The code is a map [N, C, h, w], or with `variant.embedding` = E a
    vector [N, E] as XGAN publishes it; C and h: see `halves`. With `variant.residual` the code
    also carries the image and the decoder draws only the change: tanh(f(x) + atanh(0.95·x)), so
    that training starts from a copy (de Bel et al., Residual CycleGAN, 2021).
    """

    def __init__(self, variant: Variant, image_size: int) -> None:
        super().__init__()
        halves = HALVES[variant.architecture](variant, image_size)
        deep_names = ("both",) if variant.shared else DOMAINS
        self.shared, self.residual = variant.shared, variant.residual
        self.downsampling = halves.downsampling
        self.code_channels = variant.embedding or halves.map_channels
        # What labels add to each channel of a code, before it is decoded.
        self.label_shift = (
            nn.Linear(width(variant.labels), self.code_channels, bias=False)
            if variant.labels
            else None
        )
        self.shallow_encoders = nn.ModuleDict({d: halves.shallow_encoder() for d in DOMAINS})
        self.deep_encoders = nn.ModuleDict({d: halves.deep_encoder() for d in deep_names})
        self.deep_decoders = nn.ModuleDict({d: halves.deep_decoder() for d in deep_names})
        self.shallow_decoders = nn.ModuleDict({d: halves.shallow_decoder() for d in DOMAINS})
        self.to_codes = nn.ModuleDict({d: halves.to_code() for d in deep_names})
        self.apply(init_weights)
        # Made last, with torch's own initial weights: two more layers of 0.02 would leave of the
        # code less than the ε of the norms that follow.
        cams = deep_names if variant.attention == "cam" else ()
        self.cams = nn.ModuleDict({d: ClassActivationAttention(halves.map_channels) for d in cams})

    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Float [N, 3, S, S] in [-1, 1], seen as images of `domain` → their code."""
        return self.encode_with_logits(images, domain)[0]

    def encode_with_logits(self, images: Tensor, domain: str) -> tuple[Tensor, Tensor | None]:
        """`encode`, and the logits [N, 2] by which `attention: cam` knows images of `domain`."""
        key, logits = "both" if self.shared else domain, None
        features = self.deep_encoders[key](self.shallow_encoders[domain](images))
        if self.cams:
            features, logits = self.cams[key](features)
        code = self.to_codes[key](features)
        if self.residual:
            code = torch.cat([code, F.pixel_unshuffle(images, self.downsampling)], dim=1)
        return code, logits

    def decode(self, code: Tensor, domain: str, labels: Tensor | None = None) -> Tensor:
        """A code → float [N, 3, S, S] in [-1, 1], drawn in `domain`.

        `labels`: float [N, width] of `conditioning`, which a variant with labels needs.
        """
        deep = self.deep_decoders["both" if self.shared else domain]
        if not self.residual:
            return self.shallow_decoders[domain](deep(self._labelled(code, labels))).tanh()
        code, source = code[:, : self.code_channels], code[:, self.code_channels :]
        code = self._labelled(code, labels)
        source = F.pixel_shuffle(source.float(), self.downsampling).clamp(-1, 1)
        change = self.shallow_decoders[domain](deep(code))
        return (change + (0.95 * source).atanh()).tanh()

    def _labelled(self, code: Tensor, labels: Tensor | None) -> Tensor:
        if self.label_shift is None:
            return code
        assert labels is not None
        shift = self.label_shift(labels)
        return code + (shift[:, :, None, None] if code.dim() == 4 else shift)

    def translate(self, images: Tensor, direction: str, labels: Tensor | None = None) -> Tensor:
        """Float [N, 3, S, S] in [-1, 1] → the same, in the direction's target domain.

        `labels`, see `decode`, are those of `images`.
        """
        source, target = DIRECTIONS[direction]
        return self.decode(self.encode(images, source), target, labels)


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al., 2017): scores overlapping patches, [N, 3, S, S] → [N, 1, s, s].

    With labels it is a projection discriminator (Miyato & Koyama, 2018, eq. 3).

    `layers` stride-2 convolutions, then two of stride 1. The published 3 make a patch of 70
    pixels, which at 64 px sees the whole face; 2 make one of 34 pixels. With `antialias` the
    strides are those of a `Blur` after each activation. With `attention` "cam" the features are
    weighed by two auxiliary classifiers, whose logits judge the whole image (Kim et al., U-GAT-IT,
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
        """Float [N, 3, S, S] in [-1, 1] → unbounded scores [N, 1, s, s], 1 for real.

        With `labels`, float [N, label_width], how well image and labels go together counts, too.
        """
        return self.verdicts(images, labels)[0]

    def verdicts(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """All that the adversarial loss looks at: the scores of `forward` and, where there is an
        attention, its logits [N, 2]."""
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


def code_vector(code: Tensor) -> Tensor:
    """A code as a vector: [N, C, h, w] → the mean over positions [N, C]; [N, E] as it is."""
    return code.mean((2, 3)) if code.dim() == 4 else code


class TrainingNetworks(nn.Module):
    """Everything that training updates: the translator and what judges it.

    A judge that no loss of the variant uses does not exist: `discriminators` is empty without
    `adversarial`, `domain_classifier` is None without `domain_adversarial`, and so is `student`,
    which brings a code to the `teacher_features` of a recognizer, without `teacher`.
    """

    def __init__(self, variant: Variant, image_size: int, teacher_features: int = 0) -> None:
        super().__init__()
        self.translator = TranslationNetwork(variant, image_size)
        critic = partial(
            PatchDiscriminator,
            variant.discriminator_channels,
            variant.discriminator_layers,
            variant.discriminator_norm,
            width(variant.labels),
            variant.antialias,
            variant.discriminator_attention,
        )
        used = DOMAINS if variant.weight("adversarial") else ()
        if used and image_size < 3 * 2**variant.discriminator_layers:
            raise ModelError(
                f"{image_size} px are too few for discriminator_layers "
                f"{variant.discriminator_layers}: lower it, or raise image_size"
            )
        self.discriminators = nn.ModuleDict({d: critic() for d in used})
        code_channels = self.translator.code_channels
        self.domain_classifier = (
            DomainClassifier(code_channels) if variant.weight("domain_adversarial") else None
        )
        self.student = (
            nn.Linear(code_channels, teacher_features) if variant.weight("teacher") else None
        )

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the generator's objective updates. The reversed gradient of the domain classifier
        makes its adversarial game one minimisation, so its weights are here too."""
        return [
            weight
            for part in (self.translator, self.domain_classifier, self.student)
            if part is not None
            for weight in part.parameters()
        ]

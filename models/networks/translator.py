"""The translator: two encoders and two decoders.

CycleGAN's ResNet generator (Johnson et al., 2016; Zhu et al., 2017) is cut in the middle of its
residual blocks into an encoder and a decoder. The photos → anime generator is then
decoder["anime"] ∘ encoder["photos"], and XGAN (Royer et al., 2017) is the same four pieces with
the deep half of the encoders, and of the decoders, shared between the domains.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.conditioning import width
from models.domains import DIRECTIONS, DOMAINS
from models.networks.attention import ClassActivationAttention
from models.networks.blocks import init_weights
from models.networks.hair import HairMatch
from models.networks.halves import HALVES
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
        self.hair = HairMatch() if variant.match_hair else None

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

        `labels`, see `decode`, are those of `images`. With `variant.match_hair` drawn hair is
        matched last, which no loss sees: a generator that could rely on it would not learn colours.
        """
        source, target = DIRECTIONS[direction]
        drawn = self.decode(self.encode(images, source), target, labels)
        return self.hair(drawn, images) if self.hair and target == "anime" else drawn


def code_vector(code: Tensor) -> Tensor:
    """A code as a vector: [N, C, h, w] → the mean over positions [N, C]; [N, E] as it is."""
    return code.mean((2, 3)) if code.dim() == 4 else code

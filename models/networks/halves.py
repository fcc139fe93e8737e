"""The pieces that a translator of each architecture is put together from.

`shallow_*` are private to a domain; `deep_*` and `to_code` belong to both where the variant shares.
Each call makes a new piece.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import ModelError
from models.networks.attention import SelfAttention
from models.networks.blocks import (
    AdaLINBlocks,
    ReflectedConv2d,
    ResidualBlock,
    conv_block,
    upsample_block,
    upsample_to_rgb,
)
from models.networks.norms import Norm2d
from models.variants import Variant


class Halves:
    """What the architectures have in common.

    The encoders bring an image to a map of `widening`·channels, `downsampling` times smaller.
    Raises ModelError for an image size that cannot be halved so often.
    """

    downsampling: ClassVar[int]
    widening: ClassVar[int]
    smallest: ClassVar[int]  # image size, pixels

    def __init__(self, variant: Variant, image_size: int) -> None:
        if image_size % self.downsampling or image_size < self.smallest:
            raise ModelError(
                f"image_size {image_size} must be a multiple of {self.downsampling} and at least "
                f"{self.smallest} for architecture {variant.architecture}"
            )
        self.variant, self.channels = variant, variant.channels
        self.side = image_size // self.downsampling
        self.map_channels = self.widening * variant.channels
        self.flat = self.map_channels * self.side**2
        # AdaLIN is the decoders': its γ and β come from the code.
        self.encoder_norm = "instance" if variant.norm == "adalin" else variant.norm

    def down(self, inputs: int, outputs: int) -> nn.Sequential:
        """Half the resolution."""
        norm, antialias = self.encoder_norm, self.variant.antialias
        return conv_block(inputs, outputs, 3, norm, stride=2, antialias=antialias)

    def up(self, inputs: int, outputs: int) -> nn.Sequential:
        """Twice the resolution."""
        v = self.variant
        return upsample_block(inputs, outputs, v.norm, v.upsampling, v.antialias)

    def attention(self) -> list[nn.Module]:
        """The self-attention that an encoder ends with, if any."""
        return [SelfAttention(self.map_channels)] if self.variant.attention == "self" else []


class ResNetHalves(Halves):
    """CycleGAN's ResNet generator (Johnson et al., 2016; Zhu et al., 2017), cut in the middle of
    its residual blocks. The code is the map, or with `embedding` one linear layer of it."""

    downsampling, widening, smallest = 4, 4, 16

    def shallow_encoder(self) -> nn.Sequential:
        """[N, 3, S, S] → [N, 2c, S/2, S/2]."""
        c = self.channels
        return nn.Sequential(conv_block(3, c, 7, self.encoder_norm), self.down(c, 2 * c))

    def deep_encoder(self) -> nn.Sequential:
        """[N, 2c, S/2, S/2] → [N, 4c, S/4, S/4]."""
        count = self.variant.blocks - self.variant.blocks // 2
        blocks = [ResidualBlock(self.map_channels, self.encoder_norm) for _ in range(count)]
        down = self.down(2 * self.channels, self.map_channels)
        return nn.Sequential(down, *blocks, *self.attention())

    def to_code(self) -> nn.Sequential:
        """[N, 4c, S/4, S/4] → the same, or [N, E] for an embedding of E."""
        if not self.variant.embedding:
            return nn.Sequential()
        return nn.Sequential(nn.Flatten(), nn.Linear(self.flat, self.variant.embedding))

    def deep_decoder(self) -> nn.Sequential:
        """A code → [N, 2c, S/2, S/2]."""
        c, count, embedding = self.map_channels, self.variant.blocks // 2, self.variant.embedding
        layers: list[nn.Module] = []
        if embedding:
            shape = (c, self.side, self.side)
            layers += [nn.Linear(embedding, self.flat), nn.Unflatten(1, shape)]
        if self.variant.norm == "adalin":
            layers.append(AdaLINBlocks(c, count))
        else:
            layers += [ResidualBlock(c, self.variant.norm) for _ in range(count)]
        return nn.Sequential(*layers, self.up(c, c // 2))

    def shallow_decoder(self) -> nn.Sequential:
        """[N, 2c, S/2, S/2] → [N, 3, S, S], unbounded."""
        c = self.channels
        to_rgb = ReflectedConv2d(c, 3, 7)
        return nn.Sequential(self.up(2 * c, c), to_rgb)


class UnitLength(nn.Module):
    """Vectors brought to Euclidean length 1, in float32."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, E] → [N, E]."""
        return F.normalize(x.float(), dim=1)


class PublishedXGANHalves(Halves):
    """XGAN as published for 64 px (Royer et al., 2017), with channels c = 32, embedding E = 1024.

    Encoder: convolutions of stride 2 to 32, 64 | shared 128, 256, then two linear layers of 1024
    and L2 normalisation. Decoder: shared 512 at 4×4, 256 | 128, 64 and 3 at 64×64. Kernels are
    3×3 as elsewhere here; norms and upsampling are the variant's; there are no residual blocks.
    """

    downsampling, widening, smallest = 16, 8, 32

    def shallow_encoder(self) -> nn.Sequential:
        """[N, 3, S, S] → [N, 2c, S/4, S/4]."""
        c = self.channels
        return nn.Sequential(self.down(3, c), self.down(c, 2 * c))

    def deep_encoder(self) -> nn.Sequential:
        """[N, 2c, S/4, S/4] → [N, 8c, S/16, S/16]."""
        c = self.channels
        return nn.Sequential(self.down(2 * c, 4 * c), self.down(4 * c, 8 * c), *self.attention())

    def to_code(self) -> nn.Sequential:
        """[N, 8c, S/16, S/16] → [N, E], ‖·‖₂ = 1."""
        e = self.variant.embedding
        linear = [nn.Linear(self.flat, e), nn.ReLU(inplace=True), nn.Linear(e, e)]
        return nn.Sequential(nn.Flatten(), *linear, UnitLength())

    def deep_decoder(self) -> nn.Sequential:
        """[N, E] → [N, 8c, S/8, S/8]."""
        wide = 2 * self.map_channels
        # What the paper calls a transposed convolution of a 1×1 map.
        first = nn.Linear(self.variant.embedding, 2 * self.flat, bias=False)
        unflatten = nn.Unflatten(1, (wide, self.side, self.side))
        layers = [first, unflatten, Norm2d(self.variant.norm), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers, self.up(wide, self.map_channels))

    def shallow_decoder(self) -> nn.Sequential:
        """[N, 8c, S/8, S/8] → [N, 3, S, S], unbounded."""
        c, v = self.channels, self.variant
        to_rgb = upsample_to_rgb(2 * c, v.upsampling, v.antialias)
        return nn.Sequential(self.up(8 * c, 4 * c), self.up(4 * c, 2 * c), to_rgb)


HALVES: dict[str, type[ResNetHalves] | type[PublishedXGANHalves]] = {
    "cyclegan": ResNetHalves,
    "xgan": ResNetHalves,
    "xgan_published": PublishedXGANHalves,
}

"""Networks that enlarge drawings and photos, with the public weights of Real-ESRGAN.

Wang et al., *Real-ESRGAN*, 2021 (arXiv:2107.10833). The files are ncnn's, and PyTorch runs them.
Pictures are padded with zeros, as in training: mirrored or repeated pixels gave worse edges.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import ModelError
from models.knobs import refuse_unknown
from models.public.door import weights_file
from models.public.ncnn_file import Layer, read
from models.runtime.device import pick_device

WIDE = 64  # channels between the layers
GROWTH = 32  # channels that each convolution of a dense block adds
DAMPED = 0.2  # of what a block changes
KINDS = {nn.Conv2d: "Convolution", nn.PReLU: "PReLU"}  # as ncnn calls what has weights
AT_ONCE = 128 * 128  # pixels enlarged together: with 64 channels, 16 times as many are 64 MiB


class Upscaler(nn.Module, ABC):
    """A frozen network that enlarges pictures of any size; gradients reach them.

    Colours move by up to a few levels of 255.
    """

    scale = 4  # times the sides

    def forward(self, images: Tensor) -> Tensor:
        """RGB in 0 to 1, float [N, 3, H, W] → [N, 3, scale·H, scale·W], clamped to 0 to 1."""
        return self.drawn(images.contiguous(memory_format=torch.channels_last)).clamp(0, 1)

    @abstractmethod
    def drawn(self, images: Tensor) -> Tensor:
        """As `forward`, before it is clamped."""

    @torch.inference_mode()
    def enlarged(self, images: Tensor) -> Tensor:
        """RGB uint8 [N, 3, H, W] → uint8 [N, 3, scale·H, scale·W] on the CPU.

        Pictures run a few at a time, so any number of them fits. Raises ModelError for others.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise ModelError(
                f"an upscaler takes uint8 [N, 3, H, W], not {images.dtype} {list(images.shape)}"
            )
        device = next(self.parameters()).device
        few = max(1, AT_ONCE // max(1, images.shape[2] * images.shape[3]))
        parts = []
        for part in images.split(few):
            larger = self(part.to(device).float() / 255)
            parts.append(larger.mul(255).round().to(torch.uint8).cpu())
        return torch.cat(parts)


class CompactUpscaler(Upscaler):
    """Real-ESRGAN's small network for animation (SRVGGNetCompact).

    Convolutions at the size of the picture; what they draw is added to its enlarged pixels. With
    ``halved`` it enlarges twice: four times, and half of it.
    """

    def __init__(self, halved: bool = False) -> None:
        super().__init__()
        self.scale = 2 if halved else 4
        self.layers = nn.Sequential(convolution(3, WIDE), nn.PReLU(WIDE))
        for _ in range(16):
            self.layers.extend([convolution(WIDE, WIDE), nn.PReLU(WIDE)])
        self.layers.append(convolution(WIDE, 3 * 4**2))

    def drawn(self, images: Tensor) -> Tensor:
        larger = F.pixel_shuffle(self.layers(images), 4) + F.interpolate(images, scale_factor=4.0)
        if self.scale == 4:
            return larger
        return F.interpolate(larger, scale_factor=0.5, mode="bicubic")


class DenseUpscaler(Upscaler):
    """ESRGAN's network (RRDBNet): residual blocks at the size of the picture, then twice doubled.

    Wang et al., *ESRGAN*, 2018 (arXiv:1809.00219), section 3.1.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.first = convolution(3, WIDE)
        self.blocks = nn.Sequential(*(ResidualBlock() for _ in range(blocks)))
        self.after = convolution(WIDE, WIDE)
        self.doubled = nn.ModuleList(convolution(WIDE, WIDE) for _ in range(2))
        self.fine = convolution(WIDE, WIDE)
        self.last = convolution(WIDE, 3)

    def drawn(self, images: Tensor) -> Tensor:
        x = self.first(images)
        x = x + self.after(self.blocks(x))
        for layer in self.doubled:
            x = active(layer(F.interpolate(x, scale_factor=2.0)))
        return self.last(active(self.fine(x)))


class ResidualBlock(nn.Module):
    """Three dense blocks; a fifth of what they change is added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock() for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + DAMPED * self.dense(x)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it gave; a fifth is added."""

    def __init__(self) -> None:
        super().__init__()
        outputs = [GROWTH] * 4 + [WIDE]
        self.layers = nn.ModuleList(
            convolution(WIDE + GROWTH * i, channels) for i, channels in enumerate(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        *layers, last = self.layers
        seen = [x]
        for layer in layers:
            seen.append(active(layer(torch.cat(seen, dim=1))))
        return x + DAMPED * last(torch.cat(seen, dim=1))


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3×3, with zeros around the picture."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def active(x: Tensor) -> Tensor:
    """Leaky ReLU; it may change ``x``."""
    return F.leaky_relu(x, 0.2, inplace=True)


NETWORKS: dict[str, Callable[[], Upscaler]] = {
    "anime_upscaler_2x": partial(CompactUpscaler, halved=True),
    "anime_upscaler_4x": CompactUpscaler,
    "anime_upscaler_4x_large": partial(DenseUpscaler, blocks=6),
    "photo_upscaler_4x": partial(DenseUpscaler, blocks=23),
}


def load(name: str, device: str = "auto") -> Upscaler:
    """The network ``name``, of `NETWORKS`, with its public weights, on ``device``.

    Raises ModelError where the weights are not here, or are another network's.
    """
    refuse_unknown("upscaler", [name], NETWORKS)
    file = weights_file(name, use="pictures")
    with torch.device("meta"):  # no initial weights, so no random number is drawn
        network = NETWORKS[name]()
    try:
        network.load_state_dict(state_of(network, read(file)), assign=True)
    except ValueError as error:
        raise ModelError(f"{file} is not {name}: {error}") from None
    network.requires_grad_(False).eval()
    return network.to(memory_format=torch.channels_last).to(pick_device(device))


def state_of(network: Upscaler, layers: list[Layer]) -> dict[str, Tensor]:
    """The tensors of ``layers`` under the network's names: both have them in the same order.

    Raises ValueError, which names the first layer that the network does not have.
    """
    weighted = [layer for layer in layers if layer.tensors]
    parts = [(name, part) for name, part in network.named_modules() if type(part) in KINDS]
    if len(weighted) != len(parts):
        raise ValueError(f"{len(weighted)} layers have weights, not {len(parts)}")
    state: dict[str, Tensor] = {}
    for layer, (name, part) in zip(weighted, parts, strict=True):
        own = part.state_dict(prefix=f"{name}.")
        shapes = [tuple(tensor.shape) for tensor in own.values()]
        given = [tuple(tensor.shape) for tensor in layer.tensors]
        if layer.kind != KINDS[type(part)] or given != shapes:
            wanted = f"{KINDS[type(part)]} {shapes}"
            raise ValueError(f"{layer.name} is {layer.kind} {given}, not {wanted}")
        state |= zip(own, layer.tensors, strict=True)
    return state

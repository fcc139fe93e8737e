"""The recognizer's network: attributes and features off faces of both domains."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from models.data.augment import to_float
from models.errors import ModelError
from models.knobs import MOST_PIXELS

MAX_CHANNELS = 512  # that a config may state


class Recognizer(nn.Module):
    """Four stages of two 3×3 convolutions, each halving the size, then one linear layer a head.

    `heads` maps an attribute to its classes, e.g. {"smile": ["yes", "no"]}; `temperatures` to what
    divides its logits for calibrated probabilities (see `calibration`), 1 until fitted. `shared`
    are the heads that it learned from all domains: what the others say of a domain is a guess.
    """

    def __init__(self, heads: Mapping[str, Sequence[str]], channels: int, image_size: int) -> None:
        super().__init__()
        self.heads = {name: list(classes) for name, classes in heads.items()}
        self.temperatures = dict.fromkeys(self.heads, 1.0)
        self.shared = list(self.heads)
        self.channels, self.image_size = channels, image_size
        widths = [3, channels, channels * 2, channels * 4, channels * 8]
        stages: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            stages += [_conv(inputs, outputs, stride=2), _conv(outputs, outputs, stride=1)]
        self.body = nn.Sequential(*stages)
        self.outputs = nn.ModuleDict(
            {name: nn.Linear(widths[-1], len(classes)) for name, classes in self.heads.items()}
        )

    @property
    def feature_count(self) -> int:
        """Length of the pooled features: 8·channels."""
        return 8 * self.channels

    def fingerprint(self) -> str:
        """64 hex digits that name the weights."""
        weights = {name: value.cpu().contiguous() for name, value in self.state_dict().items()}
        return hashlib.sha256(save(weights)).hexdigest()

    def pooled(self, images: Tensor) -> Tensor:
        """Float [N, 3, S, S] in [-1, 1] → float32 features [N, 8·channels]."""
        return self.body(images).float().mean((2, 3))

    def depths(self, images: Tensor) -> list[Tensor]:
        """Float [N, 3, S, S] in [-1, 1] → the features of the four stages.

        Stage l = 0…3 gives [N, channels·2^l, S/2^(l+1), S/2^(l+1)]. Images of another size are
        brought to this network's, differentiably.
        """
        images, features = self._sized(images), []
        for layer in self.body:
            images = layer(images)
            features.append(images)
        return features[1::2]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Float [N, 3, S, S] in [-1, 1] → logits [N, classes] of each head."""
        features = self.pooled(images)
        return {name: output(features).float() for name, output in self.outputs.items()}

    def read(self, images: Tensor) -> dict[str, Tensor]:
        """As `forward`, of the `shared` heads alone, and of images of any size, as `depths`."""
        logits = self(self._sized(images))
        return {name: logits[name] for name in self.shared}

    def _sized(self, images: Tensor) -> Tensor:
        if images.shape[2] == self.image_size:
            return images
        return F.interpolate(images, [self.image_size] * 2, mode="bilinear", antialias=True)

    def features(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """uint8 [N, 3, S, S] → float32 [N, 8·channels] on the CPU: what KID compares."""
        return torch.cat(self._batches(images, self.pooled, batch_size))

    def logits(self, images: Tensor, batch_size: int = 256) -> dict[str, Tensor]:
        """uint8 [N, 3, S, S] → each head's logits as trained, float32 [N, classes] on the CPU."""
        batches = self._batches(images, lambda x: torch.cat([*self(x).values()], 1), batch_size)
        sizes = [len(classes) for classes in self.heads.values()]
        return dict(zip(self.heads, torch.cat(batches).split(sizes, dim=1), strict=True))

    def predict(self, images: Tensor, batch_size: int = 256) -> dict[str, Tensor]:
        """uint8 [N, 3, S, S] → each head's class probabilities, float32 [N, classes] on the CPU.

        Calibrated: softmax(logits / temperature).
        """
        logits = self.logits(images, batch_size)
        return {name: (z / self.temperatures[name]).softmax(1) for name, z in logits.items()}

    @torch.inference_mode()
    def _batches(
        self, images: Tensor, run: Callable[[Tensor], Tensor], batch_size: int
    ) -> list[Tensor]:
        size = self.image_size
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1:] != (3, size, size):
            raise ModelError(
                f"the recognizer takes uint8 [N, 3, {size}, {size}], "
                f"got {images.dtype} {list(images.shape)}"
            )
        self.eval()
        device = next(self.parameters()).device
        return [run(to_float(batch.to(device))).cpu() for batch in images.split(batch_size)]


def check_structure(told: Mapping[str, Any]) -> None:
    """Raise ValueError where the `channels` or `image_size` of a config are no network's: a number
    of a stranger must not ask for all of the memory."""
    for name, most in (("channels", MAX_CHANNELS), ("image_size", MOST_PIXELS)):
        if type(told[name]) is not int or not 0 < told[name] <= most:
            raise ValueError(f"{name} is {told[name]!r}")


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

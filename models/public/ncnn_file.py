"""Reads the two files of a network that ncnn runs: its layers (.param), and their weights (.bin).

The text has a layer a line; the other file has their numbers in the same order, without names
(github.com/Tencent/ncnn/wiki/param-and-model-file-structure). It knows the layers of upscalers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.errors import ModelError

MAGIC = "7767517"  # the text's first line
STORED = {0: "<f4", 0x01306B47: "<f2"}  # flag before a convolution's weight → how it is stored
ALIGN = 4  # bytes: what comes next begins at a multiple of them
LISTS = -23300  # minus a key: the key's value is a list, which begins with its length
PLAIN = {"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle"}  # no weights


@dataclass(frozen=True)
class Layer:
    """A line of the text, with its weights.

    Attributes:
        kind, name: such as "Convolution" and "Conv_0".
        attributes: numbered as ncnn does it for this kind (its wiki, "operators"): key → numbers.
        tensors: float32; of a convolution the weight [O, I, H, W] and the bias [O] if it has one,
            of a PReLU the slopes [C].
    """

    kind: str
    name: str
    attributes: dict[int, tuple[float, ...]]
    tensors: tuple[Tensor, ...] = ()

    def number(self, key: int, default: int = 0) -> int:
        """The attribute ``key``, or what ncnn takes where the line does not name it."""
        return int(self.attributes.get(key, (default,))[0])


def read(weights: Path) -> list[Layer]:
    """The layers of a network in the order in which they run.

    Args:
        weights: the .bin; the .param of the same name lies beside it.

    Raises ModelError when one of the two is damaged, or has what is not read here.
    """
    text = weights.with_suffix(".param")
    with _blaming(text):
        layers = _layers(text.read_text(encoding="ascii").splitlines())
    with _blaming(weights):
        numbers = _Numbers(weights.read_bytes())
        layers = [replace(layer, tensors=_tensors(layer, numbers)) for layer in layers]
        numbers.end()
    return layers


@contextmanager
def _blaming(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as a network of ncnn's: {error}") from None


def _layers(lines: list[str]) -> list[Layer]:
    """Without weights. Raises ValueError."""
    if len(lines) < 2 or lines[0].strip() != MAGIC:
        raise ValueError(f"it does not begin with {MAGIC}")
    layers = [_layer(line.split()) for line in lines[2:] if line.strip()]
    if lines[1].split()[:1] != [str(len(layers))]:
        raise ValueError(f"it has {len(layers)} layers and announces others")
    return layers


def _layer(words: list[str]) -> Layer:
    """Of ``kind name inputs outputs``, as many names of either, and ``key=value`` each."""
    try:
        kind, name, inputs, outputs = words[:4]
        pairs = [word.split("=") for word in words[4 + int(inputs) + int(outputs) :]]
        attributes = {int(key): tuple(map(float, value.split(","))) for key, value in pairs}
    except ValueError:
        raise ValueError(f"a line is no layer: {' '.join(words[:4])}") from None
    return Layer(
        kind,
        name,
        {LISTS - k if k < 0 else k: v[1:] if k < 0 else v for k, v in attributes.items()},
    )


def _tensors(layer: Layer, numbers: _Numbers) -> tuple[Tensor, ...]:
    """The weights that follow for this layer. Raises ValueError."""
    if layer.kind in PLAIN:
        return ()
    try:
        if layer.kind == "PReLU":
            return (numbers.take(layer.number(0)),)
        if layer.kind == "Convolution":
            return _convolution(layer, numbers)
    except EOFError:
        raise ValueError(f"it ends within {layer.name}") from None
    raise ValueError(f"the layer {layer.name} is of the kind {layer.kind}, which is not read here")


def _convolution(layer: Layer, numbers: _Numbers) -> tuple[Tensor, ...]:
    outputs, width, size = layer.number(0), layer.number(1), layer.number(6)
    height = layer.number(11, default=width)
    flag = numbers.flag()
    if flag not in STORED:
        raise ValueError(f"the weight of {layer.name} is stored as {flag:#010x}, not fp16 or fp32")
    weight = numbers.take(size, STORED[flag])
    try:
        weight = weight.reshape(outputs, -1, height, width)
    except RuntimeError:
        raise ValueError(f"{size} weights do not fit {layer.name}") from None
    return (weight, numbers.take(outputs)) if layer.number(5) else (weight,)


class _Numbers:
    """The file's numbers, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def flag(self) -> int:
        return int(self._next(1, "<u4")[0])

    def take(self, count: int, stored: str = "<f4") -> Tensor:
        """The next ``count`` numbers, as float32. Raises EOFError where there are fewer."""
        return torch.from_numpy(self._next(count, stored).astype(np.float32))

    def end(self) -> None:
        """Raises ValueError unless all was read."""
        if self.place != len(self.data):
            raise ValueError(f"{len(self.data) - self.place} bytes are left over")

    def _next(self, count: int, stored: str) -> np.ndarray:
        size = count * np.dtype(stored).itemsize
        if not 0 <= size <= len(self.data) - self.place:
            raise EOFError
        found = np.frombuffer(self.data, stored, count, self.place)
        self.place += size + -size % ALIGN
        return found

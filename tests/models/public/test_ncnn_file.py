"""Files of ncnn's: what is written is read, and what is damaged is told in one line."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.public import ncnn_file

TEXT = """7767517
5 5
Input        picture 0 1 data
Convolution  wide    1 1 data a 0=3 1=1 5=1 6=9
PReLU        bent    1 1 a b 0=3
Convolution  last    1 1 b c 0=1 1=3 11=1 5=0 6=9 9=2 -23310=1,2.000000e-01
PixelShuffle larger  1 1 c output 0=2
"""
WIDE = np.arange(9, dtype=np.float16) / 8  # 18 bytes: two more before the bias
BIAS = np.array([0.1, -0.2, 0.3], np.float32)
SLOPES = np.array([0.25, 0.5, 1], np.float32)
LAST = np.arange(9, dtype=np.float32) / 7
NUMBERS = b"".join(
    [
        struct.pack("<I", 0x01306B47),
        WIDE.tobytes() + bytes(2),
        BIAS.tobytes(),
        SLOPES.tobytes(),
        struct.pack("<I", 0),
        LAST.tobytes(),
    ]
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Lays down both files of a network; the second is the one that is opened."""

    def written(text: str = TEXT, numbers: bytes = NUMBERS) -> Path:
        (tmp_path / "net.param").write_text(text)
        (tmp_path / "net.bin").write_bytes(numbers)
        return tmp_path / "net.bin"

    return written


def test_layers_come_in_order_with_their_weights(write: Callable[..., Path]) -> None:
    layers = ncnn_file.read(write())
    assert [(layer.kind, layer.name) for layer in layers] == [
        ("Input", "picture"),
        ("Convolution", "wide"),
        ("PReLU", "bent"),
        ("Convolution", "last"),
        ("PixelShuffle", "larger"),
    ]
    _, wide, bent, last, larger = (layer.tensors for layer in layers)
    expected = [[WIDE.reshape(3, 3, 1, 1), BIAS], [SLOPES], [LAST.reshape(1, 3, 1, 3)], []]
    for tensors, arrays in zip((wide, bent, last, larger), expected, strict=True):
        assert len(tensors) == len(arrays)
        for tensor, array in zip(tensors, arrays, strict=True):
            assert tensor.dtype == torch.float32
            np.testing.assert_array_equal(tensor.numpy(), array)


def test_attributes_are_numbers_and_lists_under_their_own_keys(write: Callable[..., Path]) -> None:
    last = ncnn_file.read(write())[3]
    assert last.attributes[10] == (0.2,)
    assert (last.number(9), last.number(1), last.number(4), last.number(4, default=7)) == (
        2,
        3,
        0,
        7,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "does not begin with 7767517"),
        (TEXT.replace("7767517", "7767518"), "does not begin with 7767517"),
        (TEXT.replace("5 5", "6 5"), "has 5 layers and announces others"),
        (TEXT.replace("0=2\n", "0=two\n"), "a line is no layer: PixelShuffle larger 1 1"),
        (TEXT.replace("0=2\n", "0\n"), "a line is no layer: PixelShuffle larger 1 1"),
        (TEXT.replace("Input        picture 0 1 data", "Input"), "a line is no layer: Input"),
        (TEXT.replace("picture", "picturé"), "codec can't decode"),
    ],
    ids=lambda value: value if "\n" not in value else "",
)
def test_a_damaged_text_is_told_in_one_line(write: Callable[..., Path], text, told) -> None:
    file = write(text)
    with pytest.raises(ModelError) as error:
        ncnn_file.read(file)
    assert told in str(error.value) and "net.param cannot be read" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "numbers", "told"),
    [
        (TEXT, NUMBERS[:-1], "it ends within last"),
        (TEXT, NUMBERS[:30], "it ends within wide"),
        (TEXT, b"", "it ends within wide"),
        (TEXT, NUMBERS + bytes(4), "4 bytes are left over"),
        (TEXT, b"\1" + NUMBERS[1:], "the weight of wide is stored as 0x01306b01"),
        (TEXT.replace("PReLU ", "Sigmo "), NUMBERS, "bent is of the kind Sigmo"),
        (TEXT.replace("0=3 1=1", "0=2 1=1"), NUMBERS, "9 weights do not fit wide"),
        (TEXT.replace("0=3 1=1", "0=0 1=1"), NUMBERS, "9 weights do not fit wide"),
        (TEXT.replace("1 1 a b 0=3", "1 1 a b 0=-3"), NUMBERS, "it ends within bent"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_damaged_weights_are_told_in_one_line(
    write: Callable[..., Path], text, numbers, told
) -> None:
    file = write(text, numbers)
    with pytest.raises(ModelError) as error:
        ncnn_file.read(file)
    assert told in str(error.value) and "net.bin cannot be read" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_text_is_named(write: Callable[..., Path]) -> None:
    file = write()
    file.with_suffix(".param").unlink()
    with pytest.raises(ModelError, match=r"net\.param cannot be read"):
        ncnn_file.read(file)

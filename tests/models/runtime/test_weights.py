"""A flipped bit in weights or in a training's state is found when the file is read."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from models.errors import ModelError
from models.runtime.sealed import intact
from models.runtime.weights import SHA256, read_model, write_model
from models.training.state import load_state, save_state, state_path

FLIPS = 200


def flips(data: bytes) -> list[bytes]:
    """``data`` with one bit of it flipped, again and again elsewhere, and its beginnings."""
    draw = random.Random(1)
    out = []
    for place in [0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(FLIPS))]:
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        out.append(bytes(changed))
    return [*out, data[:-1], data[: len(data) // 2], b"", data + b"x"]


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "generator.safetensors", tmp_path / "config.json"
    write_model(*files, {"a": torch.arange(500.0), "b": torch.zeros(3)}, {"key": "k"})
    return files


def test_weights_come_back_with_what_was_said_of_them(model: tuple[Path, Path]) -> None:
    tensors, values = read_model(*model)
    assert torch.equal(tensors["a"], torch.arange(500.0)) and values["key"] == "k"
    before = [file.read_bytes() for file in model]
    write_model(*model, tensors, {"key": "k"})
    assert [file.read_bytes() for file in model] == before


def test_every_flipped_bit_of_weights_is_found(model: tuple[Path, Path]) -> None:
    data = model[0].read_bytes()
    for changed in flips(data):
        model[0].write_bytes(changed)
        with pytest.raises(ModelError, match="generator.safetensors"):
            read_model(*model)
    model[0].write_bytes(data)
    read_model(*model)


def test_weights_of_before_there_were_hashes_are_read(model: tuple[Path, Path]) -> None:
    values = json.loads(model[1].read_text())
    del values[SHA256]
    model[1].write_text(json.dumps(values))
    assert len(read_model(*model)[0]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"', "\xff"])
def test_a_json_that_is_none_is_one_line(text: str, model: tuple[Path, Path]) -> None:
    model[1].write_text(text, encoding="latin-1")
    with pytest.raises(ModelError) as caught:
        read_model(*model)
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_of_a_state_is_found(tmp_path: Path) -> None:
    save_state(tmp_path, "k", {"images_seen": 8, "networks": {"a": torch.arange(2000.0)}})
    path = state_path(tmp_path, "k")
    data = path.read_bytes()
    for changed in flips(data):
        path.write_bytes(changed)
        assert not intact(path)
        with pytest.raises(ModelError, match="delete it to start over"):
            load_state(tmp_path, "k")
    path.write_bytes(data)
    state = load_state(tmp_path, "k")
    assert intact(path) and state is not None and state["images_seen"] == 8


def test_a_save_that_fails_leaves_the_old_state_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path, "k", {"images_seen": 8})

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            save_state(tmp_path, "k", {"images_seen": 16})
    assert [path.name for path in tmp_path.iterdir()] == ["k.pt"]
    state = load_state(tmp_path, "k")
    assert state is not None and state["images_seen"] == 8

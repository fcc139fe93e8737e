"""A network's weights on disk, as safetensors, and the JSON beside them, which has their sha256.

A flipped bit in the middle of weights is a network like any other, only worse. So nothing reads
weights without comparing them. The hash stands in the JSON, where `sha256sum` can check it, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.errors import ModelError
from models.runtime.files import read_json, write_bytes, write_json

SHA256 = "weights_sha256"  # the key in the JSON


def write_model(
    weights: Path, config: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """Save tensors as safetensors and ``values`` as JSON: equal arguments give equal bytes."""
    data = save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})
    write_bytes(weights, data)
    write_json(config, {**values, SHA256: hashlib.sha256(data).hexdigest()})


def read_model(weights: Path, config: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_model` wrote, to the CPU.

    A JSON of before there were hashes has none: its weights are taken as they are. Raises
    ModelError when a file is absent, broken, or not what was written.
    """
    values = read_json(config)
    try:
        data = weights.read_bytes()
        if problem := damage(data, values):
            raise ModelError(f"{weights} {problem}: train it again, or copy the folder again")
        return load(data), values
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"cannot read weights {weights}: train first, or give another folder"
        ) from error


def damage(data: bytes, values: Mapping[str, Any]) -> str:
    """What is wrong with the bytes of weights, by the JSON beside them; empty when nothing is."""
    expected = values.get(SHA256)
    if expected is None or hashlib.sha256(data).hexdigest() == expected:
        return ""
    return f"is not what was written (its sha256 is not {SHA256} of the JSON beside it)"

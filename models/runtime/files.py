"""Weights and JSON on disk: safetensors, written beside and then moved into place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from models.errors import ModelError


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one move, so that no reader meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_bytes(data)
    partial.replace(path)


def write_json(path: Path, data: Any) -> None:
    """Indented JSON, keys in the order given."""
    write_bytes(path, (json.dumps(data, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Parse a JSON file; ModelError when it is absent or broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: train first, or give another folder") from error


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Save tensors as safetensors: the same weights always give the same bytes."""
    write_bytes(path, save({k: v.detach().cpu().contiguous() for k, v in weights.items()}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Load safetensors to the CPU; ModelError when the file is absent or broken."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"cannot read weights {path}: train first, or give another folder"
        ) from error

"""Weights on disk, as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from models.errors import ModelError
from models.runtime.files import write_bytes


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

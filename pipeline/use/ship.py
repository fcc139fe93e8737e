"""Put a trained translator where ``face2anime translate`` looks first, in half precision."""

from __future__ import annotations

from pathlib import Path

import torch

from models.runtime.files import CONFIG, WEIGHTS
from models.runtime.weights import read_model, write_model
from pipeline.core.errors import StageError
from pipeline.use.model import PRETRAINED

MOST_BYTES = 12_000_000  # git keeps every version for ever


def ship(folder: Path, into: Path = PRETRAINED) -> int:
    """Write the model in ``folder`` to ``into`` as float16; returns bytes.

    Rounding moves a pixel by a level here and there. The model card beside it is written by hand.

    Raises:
        ModelError: ``folder`` holds no model.
        StageError: it has no template, so nobody could use it; or is too large for git; or has
            weights beyond float16.
    """
    weights, config = read_model(folder / WEIGHTS, folder / CONFIG)
    if "template" not in config:
        raise StageError(f"{folder / CONFIG} has no template: train it by the stage train@VARIANT")
    half = {name: x.half() if x.is_floating_point() else x for name, x in weights.items()}
    if beyond := [name for name, x in half.items() if not torch.isfinite(x).all()]:
        raise StageError(f"{beyond[0]} has values that float16 cannot hold: train again")
    if (size := sum(x.nbytes for x in half.values())) > MOST_BYTES:
        raise StageError(f"{size:,} bytes are more than the {MOST_BYTES:,} that git should keep")
    write_model(into / WEIGHTS, into / CONFIG, half, config)
    return size

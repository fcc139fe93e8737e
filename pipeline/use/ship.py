"""Put a trained translator where ``face2anime translate`` looks first, in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.domains import DIRECTIONS
from models.runtime.files import CONFIG, WEIGHTS
from models.runtime.weights import read_model, write_model
from models.variants import NETWORK_KEYS
from pipeline.core.errors import StageError
from pipeline.use.model import DIRECTION, PRETRAINED

MOST_BYTES = 12_000_000  # git keeps every version for ever

Config = dict[str, Any]
Model = tuple[dict[str, Tensor], Config]


def ship(folders: Sequence[Path], to: str = "", into: Path = PRETRAINED) -> int:
    """Write the model in ``folders`` to ``into`` as float16; returns bytes.

    Rounding moves a pixel by a level here and there. The model card beside it is written by hand.

    Args:
        folders: of one model; or of several that began from the same weights, of which the mean is
            taken: where they fail differently it fails less (Wortsman et al., Model soups, 2022).
        to: ``anime`` or ``photo``, to change but that direction of the model in ``into``.
        into: the folder.

    Raises:
        ModelError: a folder holds no model.
        StageError: it has no template, so nobody could use it; it is too large for git; it has
            weights beyond float16; or the models are not of one architecture and size.
    """
    weights, config = _mean([_read(folder) for folder in folders], folders)
    if to:
        kept, before = _read(into)
        _check_alike(before, config, into)
        _check_apart(config, into)
        weights = kept | {name: x for name, x in weights.items() if _draws(name, DIRECTION[to])}
    half = {name: x.half() if x.is_floating_point() else x for name, x in weights.items()}
    if beyond := [name for name, x in half.items() if not torch.isfinite(x).all()]:
        raise StageError(f"{beyond[0]} has values that float16 cannot hold: train again")
    if (size := sum(x.nbytes for x in half.values())) > MOST_BYTES:
        raise StageError(f"{size:,} bytes are more than the {MOST_BYTES:,} that git should keep")
    write_model(into / WEIGHTS, into / CONFIG, half, config)
    return size


def _read(folder: Path) -> Model:
    weights, config = read_model(folder / WEIGHTS, folder / CONFIG)
    if "template" not in config:
        raise StageError(f"{folder / CONFIG} has no template: train it by the stage train@VARIANT")
    return weights, config


def _mean(models: Sequence[Model], folders: Sequence[Path]) -> Model:
    """Of the weights; the config is the first one's."""
    (_, config), *others = models
    for (_, other), folder in zip(others, folders[1:], strict=True):
        _check_alike(config, other, folder)
    names = models[0][0]
    mean = {
        name: torch.stack([weights[name].float() for weights, _ in models]).mean(0)
        for name in names
    }
    return mean, config


def _check_alike(config: Config, other: Config, folder: Path) -> None:
    def told(config: Config) -> list[Any]:
        return [config["image_size"], config["template"], *map(config["variant"].get, NETWORK_KEYS)]

    if told(config) != told(other):
        raise StageError(f"{folder} holds another kind of model: only like ones are put together")


def _check_apart(config: Config, folder: Path) -> None:
    if config["variant"].get("architecture") != "cyclegan":
        raise StageError(f"{folder}: its directions share weights: ship it whole, without --to")


def _draws(name: str, direction: str) -> bool:
    """Whether a weight of that name takes part in the direction."""
    source, target = DIRECTIONS[direction]
    return f"encoders.{source}." in name or f"decoders.{target}." in name

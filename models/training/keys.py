"""The key of a run: a hash of all that decides its weights. And whether a run can be at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.checkpoint import folder_of
from models.data.conditioning import HAIR
from models.data.domain import Domain, StreamedDomain, require_images
from models.errors import ModelError
from models.knobs import check_knobs
from models.recognizer.network import Recognizer
from models.runtime.device import pick_device, pick_precision
from models.runtime.distributed import world_size
from models.runtime.files import WEIGHTS
from models.training.settings import TrainSettings
from models.variants import Variant

# Where a run takes place, and how often it tells and saves: this changes no weight.
FREE = ("device", "threads", "state_every", "sample_every", "evaluate_every", "sample_count")
MANNERS = ("accumulate", "compile", "deterministic")


def run_key(variant: Mapping[str, Any], settings: Mapping[str, Any], *ids: list[str]) -> str:
    """64 hex digits that name a run: a hash of its variant, settings and data ids.

    All are plain data (JSON). Two runs of one key on one machine give the same weights.
    """
    digest = hashlib.sha256(json.dumps([variant, settings], sort_keys=True).encode())
    for domain_ids in ids:
        digest.update(json.dumps(domain_ids).encode())
    return digest.hexdigest()


def is_key(value: object) -> bool:
    """Whether it is what `run_key` gives. One that a file tells becomes a path and a query."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def training_key(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    recognizer: Recognizer | None = None,
) -> str:
    """The key of a training: all that decides its weights and history."""
    decisive = {k: v for k, v in asdict(settings).items() if k not in (*FREE, *MANNERS)}
    decisive |= computed(settings)
    further = [recognizer.fingerprint()] if variant.asks_recognizer and recognizer else []
    further += [_digest(folder_of(variant.init) / WEIGHTS)] if variant.init else []
    labels = {*variant.labels, *([HAIR] if variant.learns_colours else [])}
    ids = [data_ids(domain, labels) for domain in (photos, anime)]
    return run_key(variant.to_dict(), decisive, *ids, *([further] if further else []))


def data_ids(domain: Domain | StreamedDomain, labels: Iterable[str]) -> list[str]:
    """What each row of `domain` is to a run whose weights these labels decide, too."""
    known = [name for name in sorted(labels) if name in domain.labels]
    if not known:
        return domain.ids
    rows = domain.labels[known].astype(str).agg(" ".join, axis=1)
    return [f"{i} {row}" for i, row in zip(domain.ids, rows, strict=True)]


def _digest(weights: Path) -> str:
    """sha256 of a file; ModelError where it cannot be read."""
    try:
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError:
        raise ModelError(f"cannot read weights {weights}: `init` names no trained model") from None


def computed(settings: TrainSettings) -> dict[str, Any]:
    """How a batch is computed: the precision, and whatever is not at once, eagerly, in one process.

    By rounding, and by what each process draws, it changes the weights.
    """
    counts = {"accumulate": settings.accumulate, "processes": world_size()}
    switches = {"compile": settings.compile, "deterministic": settings.deterministic}
    how = {k: v for k, v in counts.items() if v > 1} | {k: 1 for k, on in switches.items() if on}
    return {**how, "precision": pick_precision(settings.precision, pick_device(settings.device))}


def check(
    settings: TrainSettings, photos: Domain | StreamedDomain, anime: Domain | StreamedDomain
) -> None:
    """Raise ModelError when the settings are out of range or do not fit the data."""
    check_knobs(settings)
    parts = world_size() * settings.accumulate
    if settings.batch_size % parts:
        raise ModelError(
            f"a batch of {settings.batch_size} cannot be split evenly among {world_size()} "
            f"processes × {settings.accumulate} micro-batches: make it a multiple of {parts}"
        )
    for what, domain in (("photos", photos), ("anime", anime)):
        require_images(domain, settings.batch_size, what)
        if domain.image_size != settings.image_size:
            raise ModelError(
                f"{what} are {domain.image_size} px, `image_size` is {settings.image_size}: "
                "load them with that image_size"
            )

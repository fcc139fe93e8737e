"""What trainings left in `.cache/train` that nobody will ask for: finished, and declared no more.

A stage whose outputs DVC takes from its run cache does not run, so it cannot clean up after itself.
A training that is not finished stays, whoever declared it: hours may be in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import torch

from models.data.domain import Domain, StreamedDomain
from models.errors import ModelError
from models.recognizer.training import load_recognizer
from models.runtime.sealed import intact
from models.training.keys import data_ids, training_key
from models.training.pretraining import pretraining_key
from models.training.settings import TrainSettings
from models.variants import Variant, variant_from_dict
from pipeline.core import params
from pipeline.core.paths import remove_folder
from pipeline.train.inputs import RECOGNIZER

SAMPLES = "-samples"  # ends the name of a folder of sheets, after the key
REST = 24 * 3600  # seconds: another experiment may be about to take what it has just finished


def declared_keys(
    settings: TrainSettings, photos: Domain | StreamedDomain, anime: Domain | StreamedDomain
) -> set[str]:
    """The keys of the trainings, and pretrainings, of all rows of ``variants``.

    Raises ModelError where a row is broken, or the recognizer that one asks is.
    """
    rows = params.load_variants()
    variants: list[Variant] = [variant_from_dict(row or {}, name) for name, row in rows.items()]
    asked = any(variant.asks_recognizer for variant in variants)
    recognizer = load_recognizer(RECOGNIZER) if asked else None
    keys = {training_key(each, settings, photos, anime, recognizer) for each in variants}
    domains = {"photos": photos, "anime": anime}
    for each in variants:
        ids = {name: data_ids(domain, each.labels) for name, domain in domains.items()}
        keys.add(pretraining_key(each, settings, ids))
    return keys


def prune(folder: Path, declared: Iterable[str]) -> list[str]:
    """Remove the finished states, and sheets without a state, of no ``declared`` key.

    Returns the keys. What is younger than a day stays.
    """
    known, gone = set(declared), []
    for state in sorted(folder.glob("*.pt")):
        if state.stem not in known and _rested(state) and _finished(state):
            state.unlink(missing_ok=True)
            gone.append(state.stem)
    for sheets in sorted(folder.glob(f"*{SAMPLES}")):
        key = sheets.name.removesuffix(SAMPLES)
        if key not in known and _rested(sheets) and not (folder / f"{key}.pt").exists():
            remove_folder(sheets)
            gone.append(key)
    return list(dict.fromkeys(gone))


def _rested(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > REST


def _finished(path: Path) -> bool:
    """Whether a state has all its images: nothing is left to go on with."""
    try:
        if not intact(path):
            return False
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(state["images_seen"]) >= int(state["budget"])
    except (OSError, RuntimeError, KeyError, ModelError):
        return False

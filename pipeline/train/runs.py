"""A training as a run of MLflow, and finished trainings that were brought from elsewhere."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from models.errors import ModelError
from models.runtime.files import read_json, write_json
from models.training.engine import TrainResult
from models.training.run_file import FinishedRun, read_run, sheets_of
from models.variants import Variant
from pipeline.core import params, stage, tracking, view

BUDGET = "train.budget_images"


class Recorder:
    """Keeps sample sheets beside the resumable state and sends curves to the run as they come."""

    def __init__(self, run: tracking.StageRun, samples: Path) -> None:
        self.run, self.samples = run, samples

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """One point of every loss curve."""
        self.run.curves(pd.DataFrame([{"images": images, **metrics}]))

    def on_held_out(self, images: int, metrics: dict[str, float]) -> None:
        """One point of every held-out curve."""
        self.run.curves(held_out_curves(pd.DataFrame([{"images": images, **metrics}])))

    def on_samples(self, images: int, sheet: Tensor) -> None:
        """One sheet, named by the images seen so that the folder sorts by time."""
        self.samples.mkdir(parents=True, exist_ok=True)
        path = self.samples / f"{images:08d}.png"
        to_pil_image(sheet).save(path)
        self.run.artifact(path, "samples")


def held_out_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """`TrainResult.held_out` as its columns are named in a run."""
    return frame.rename(columns=lambda name: name if name == "images" else f"held_out.{name}")


def logged(variant: Variant, section: params.Train) -> dict[str, Any]:
    """The params of a training's run."""
    return {**params.plain(section), "variant": variant.to_dict()}


def note_finished(name: str, params: Mapping[str, Any]) -> None:
    """Keep what a finished training of a variant was made of, where DVC deletes nothing."""
    write_json(_finished(name), params)


def why_anew(name: str, params: Mapping[str, Any]) -> str:
    """Why a training begins at nothing though one with another budget has ended; empty if none has.

    Args:
        name: of the variant.
        params: `logged` of the one that begins.
    """
    try:
        before = read_json(_finished(name))
    except ModelError:
        return ""
    old, new = (view.flatten(known) for known in (before, json.loads(json.dumps(params))))
    if {key for key in {*old, *new} if old.get(key) != new.get(key)} != {BUDGET}:
        return ""
    return (
        f"{BUDGET} was {old[BUDGET]:,} and is {new[BUDGET]:,} now: it begins anew, because the "
        "learning rate falls towards the end of the budget, and the old weights are at that end. "
        "To start from weights, copy them out of checkpoints and name the folder in init"
    )


def _finished(name: str) -> Path:
    return stage.cache_dir("train") / f"{name}.finished.json"


def training_seconds(result: TrainResult) -> float:
    """Seconds of the whole training, by this call's speed where an earlier one had begun it, and
    of the pretraining before it, also where that was another variant's.

    NaN when there was nothing left to train.
    """
    images = result.images_seen - result.resumed_from
    own = result.seconds * result.images_seen / images if images else math.nan
    return own + result.pretraining_seconds


def brought_folder(key: str) -> Path:
    """Where `face2anime sync` leaves the finished training of this key."""
    return stage.cache_dir("train") / f"{key}-finished"


def brought(key: str, samples: Path) -> FinishedRun | None:
    """The finished training of this key, its sample sheets copied to ``samples``; None without."""
    folder = brought_folder(key)
    if not folder.is_dir():
        return None
    run = read_run(folder)
    samples.mkdir(parents=True, exist_ok=True)
    for images, path in sheets_of(folder).items():
        shutil.copyfile(path, samples / f"{images}.png")
    return run

"""``face2anime sync``: trainings of machines without DVC and MLflow, into MLflow and the pipeline.

A folder that `python -m models.train` left becomes a run like that of `train@VARIANT`. It is kept
in `.cache/train/` too, where the stage takes it instead of training the same again.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from models.runtime.files import CONFIG, WEIGHTS
from models.training.run_file import FinishedRun, read_run, sheets_of
from models.training.settings import TrainSettings
from pipeline.core import names, params, tables, tracking
from pipeline.train.runs import brought_folder, held_out_curves, logged, training_seconds


def sync(folder: Path) -> str:
    """Import one folder; a line that says what became of it.

    Raises ModelError when its training did not end, or a file is absent or broken: nothing is
    imported then.
    """
    run = read_run(folder)
    key, name = run.result.key, run.variant.name
    names.check(f"{folder}: variant", [name])
    keep(folder, key)
    if not math.isnan(tracking.newest_metric(key, "images_seen")):
        return f"{folder}: in MLflow already, key {key[:12]}"
    section = train_section(run.settings)
    with tracking.stage_run(
        f"train@{name}",
        logged(run.variant, section),
        tags={"variant": name, "key": key, **run.place},
    ) as opened:
        log(opened, run, folder)
        # Last: a run that has it is whole.
        opened.metrics({"images_seen": run.result.images_seen})
    return f"{folder}: train@{name} in MLflow, key {key[:12]}"


def keep(folder: Path, key: str) -> None:
    """A copy where the stage looks for it, also when only MLflow still has an earlier import."""
    with tables.new_folder(brought_folder(key)) as kept:
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("state"), dirs_exist_ok=True)


def train_section(settings: TrainSettings) -> params.Train:
    """The section ``train`` of params.yaml that makes these settings."""
    values = {name: getattr(settings, name) for name in params.Train.model_fields}
    return params.Train.model_validate(values)


def log(opened: tracking.StageRun, run: FinishedRun, folder: Path) -> None:
    """Curves, sample sheets, weights and how long it took."""
    result = run.result
    opened.curves(result.history)
    opened.curves(held_out_curves(result.held_out))
    if len(result.pretraining):
        opened.curves(result.pretraining)
    for path in sheets_of(folder).values():
        opened.artifact(path, "samples")
    for file in (WEIGHTS, CONFIG):
        opened.artifact(folder / file, "checkpoint")
    opened.metrics({"resumed_from": result.resumed_from, "seconds": training_seconds(result)})

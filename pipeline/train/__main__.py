"""``train@VARIANT``: splits → weights of one row of ``variants``, with curves and sample sheets.

Killed at any moment, it goes on from its last saved state, which lies outside DVC's outs. The same
training, done elsewhere by `python -m models.train` and brought here by `face2anime sync`, is taken
as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from models.checkpoint import save_translator
from models.data.domain import Domain, StreamedDomain
from models.data.streaming import load_training
from models.domains import DOMAINS
from models.errors import ModelError
from models.metrics.held_out import features_if_here
from models.recognizer.training import load_recognizer
from models.runtime.device import pick_device
from models.training.engine import TrainResult, train
from models.training.keys import training_key
from models.training.settings import TrainSettings
from models.training.state import clear_state, state_path
from pipeline.core import params, stage, tables, tracking
from pipeline.core.errors import StageError
from pipeline.core.paths import CHECKPOINTS, DRAWN, SPLITS, remove_folder
from pipeline.train.inputs import RECOGNIZER, load_data, load_variant
from pipeline.train.prune import SAMPLES, declared_keys, prune
from pipeline.train.runs import (
    Recorder,
    brought,
    brought_folder,
    logged,
    note_finished,
    training_seconds,
    why_anew,
)

Images = Domain | StreamedDomain


def origin(
    align: params.Align, demo: params.Demo, celeba: params.Celeba, faces: params.Faces
) -> dict[str, Any]:
    """What a model's config tells of the images it learned from, for who uses it elsewhere.

    The template of faces; which domains are ``whole`` pictures instead; and whether all was drawn.
    """
    unseen = dict(zip(DOMAINS, (celeba.eyes == "none", faces.detectors == ("none",)), strict=True))
    whole = [name for name, is_whole in unseen.items() if is_whole]
    return {
        "template": align.model_dump(include={"size", "eye_distance", "eye_line"}),
        **({"whole": whole} if whole else {}),
        **({"data": DRAWN} if demo.faces or demo.photos else {}),
    }


def write_outputs(
    name: str, result: TrainResult, samples: Path, origin: Mapping[str, Any] | None = None
) -> None:
    """Weights, loss curves and sample sheets, where DVC expects them."""
    with tables.new_folder(CHECKPOINTS / name) as folder:
        save_translator(folder, result.translator, result.key, result.images_seen, origin)
    for kind, frame in (("train", result.history), ("held_out", result.held_out)):
        curves = stage.PLOTS / kind / f"{name}.csv"
        curves.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(curves, index=False, float_format="%.6g")
    with tables.new_folder(stage.SHEETS / "train" / name) as folder:
        shutil.copytree(samples, folder, dirs_exist_ok=True)


def clean(folder: Path, settings: TrainSettings, photos: Images, anime: Images) -> None:
    """Remove, and tell, what finished trainings left that params.yaml declares no more."""
    try:
        declared = declared_keys(settings, photos, anime)
    except (ModelError, StageError):  # of another row, whose own stage tells
        return
    if gone := prune(folder, declared):
        print(f"train: removed {len(gone)} finished states of no declared training: {gone[0]} …")


def main(name: Annotated[str, typer.Option("--variant", help="A row of `variants`.")]) -> None:
    """Train a variant of params.yaml."""
    section, compute = params.load(params.Train), params.load(params.Compute)
    told = origin(
        params.load(params.Align),
        params.load(params.Demo),
        params.load(params.Celeba),
        params.load(params.Faces),
    )
    variant = load_variant(name)
    threads = compute.threads or torch.get_num_threads()
    settings = TrainSettings(**section.model_dump(), device=compute.device, threads=threads)
    device = pick_device(settings.device)
    photos, anime = load_training(
        SPLITS, "train", settings.image_size, device, compute.resident, compute.workers or None
    )
    held_out = load_data(SPLITS, "val", settings.image_size)
    recognizer = load_recognizer(RECOGNIZER) if variant.asks_recognizer else None

    key = training_key(variant, settings, photos, anime, recognizer)
    state = stage.cache_dir("train")
    samples = state / f"{key}{SAMPLES}"
    resumed = state_path(state, key).is_file()
    if not resumed:
        remove_folder(samples)
    found = brought(key, samples)
    made_of = logged(variant, section)
    if not (resumed or found) and (why := why_anew(name, made_of)):
        print(f"train@{name}: {why}")
    with tracking.stage_run(
        f"train@{name}",
        made_of,
        inputs=[SPLITS],
        tags={"variant": name, "key": key},
        resume_key=key if resumed or found else "",
    ) as run:
        if found:
            where = f"{brought_folder(key)}, trained on {found.place['device']}"
            print(f"train@{name}: nothing to train, taken from {where}")
            result = found.result
        else:
            result = train(
                variant, settings, photos, anime, held_out, state, Recorder(run, samples),
                recognizer, features_if_here(settings.device),
            )  # fmt: skip
            if len(result.pretraining):
                run.curves(result.pretraining)
        write_outputs(name, result, samples, told)
        run.metrics({"images_seen": result.images_seen, "resumed_from": result.resumed_from})
        run.metrics({"seconds": training_seconds(result)})
        run.artifact(CHECKPOINTS / name, "checkpoint")
    note_finished(name, made_of)
    clear_state(state, key)
    remove_folder(samples)
    clean(state, settings, photos, anime)


if __name__ == "__main__":
    stage.run(main)

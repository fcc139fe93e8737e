"""``train@VARIANT``: splits → weights of one row of ``variants``, with curves and sample sheets.

Killed at any moment, it goes on from its last saved state, which lies outside DVC's outs. The same
training, done elsewhere by `python -m models.train` and brought here by `face2anime sync`, is taken
as it is.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from models.checkpoint import save_translator
from models.data.domain import Domain, load_domain
from models.data.streaming import load_training
from models.recognizer.training import load_recognizer
from models.runtime.device import pick_device
from models.training.engine import TrainResult, train
from models.training.run_file import FinishedRun, read_run, sheets_of
from models.training.settings import TrainSettings, training_key
from models.training.state import clear_state, state_path
from models.variants import Variant, variant_from_dict
from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import CHECKPOINTS, SPLITS, remove_folder

RECOGNIZER = CHECKPOINTS / "recognizer/training"
JUDGE = CHECKPOINTS / "recognizer/evaluation"  # which nothing is trained to please


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


def load_variant(name: str) -> Variant:
    """The row ``name`` of ``variants`` in params.yaml. Raises StageError when there is none."""
    return variant_from_dict(params.variant_row(name), name)


def logged(variant: Variant, section: params.Train) -> dict[str, Any]:
    """The params of a training's run."""
    return {**params.plain(section), "variant": variant.to_dict()}


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


def load_data(splits: Path, split: str, image_size: int) -> tuple[Domain, Domain]:
    """Photos and anime faces of one split, uint8 [N, 3, image_size, image_size] each."""
    photos = load_domain(splits, split=split, domain="photos", image_size=image_size)
    return photos, load_domain(splits, split=split, domain="anime", image_size=image_size)


def write_outputs(name: str, result: TrainResult, samples: Path) -> None:
    """Weights, loss curves and sample sheets, where DVC expects them."""
    with tables.new_folder(CHECKPOINTS / name) as folder:
        save_translator(folder, result.translator, result.key, result.images_seen)
    for kind, frame in (("train", result.history), ("held_out", result.held_out)):
        curves = stage.PLOTS / kind / f"{name}.csv"
        curves.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(curves, index=False, float_format="%.6g")
    with tables.new_folder(stage.SHEETS / "train" / name) as folder:
        shutil.copytree(samples, folder, dirs_exist_ok=True)


def training_seconds(result: TrainResult) -> float:
    """Seconds of the whole training, by this call's speed where an earlier one had begun it, and
    of the pretraining before it, also where that was another variant's.

    NaN when there was nothing left to train.
    """
    images = result.images_seen - result.resumed_from
    own = result.seconds * result.images_seen / images if images else math.nan
    return own + result.pretraining_seconds


def main(name: Annotated[str, typer.Option("--variant", help="A row of `variants`.")]) -> None:
    """Train a variant of params.yaml."""
    section, compute = params.load(params.Train), params.load(params.Compute)
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
    samples = state / f"{key}-samples"
    resumed = state_path(state, key).is_file()
    if not resumed:
        remove_folder(samples)
    found = brought(key, samples)
    with tracking.stage_run(
        f"train@{name}",
        logged(variant, section),
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
                recognizer, judge=load_recognizer(JUDGE),
            )  # fmt: skip
            if len(result.pretraining):
                run.curves(result.pretraining)
        write_outputs(name, result, samples)
        run.metrics({"images_seen": result.images_seen, "resumed_from": result.resumed_from})
        run.metrics({"seconds": training_seconds(result)})
        run.artifact(CHECKPOINTS / name, "checkpoint")
    clear_state(state, key)
    remove_folder(samples)


if __name__ == "__main__":
    stage.run(main)

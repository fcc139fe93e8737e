"""What `python -m models.train` leaves: weights, curves, and run.json that says how they came.

run.json is written last, so a folder that has one is whole. Its `variant` and `settings` are also
what `--config` takes, so that a run can be repeated.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from models.checkpoint import load_translator, save_translator
from models.errors import ModelError
from models.knobs import refuse_unknown
from models.runtime.curves import read_curves
from models.runtime.device import pick_device
from models.runtime.distributed import world_size
from models.runtime.files import CONFIG, read_config, read_json, write_json
from models.training.engine import TrainResult
from models.training.keys import is_key
from models.training.settings import TrainSettings
from models.variants import Variant, variant_from_dict

RUN, LOSSES, PRETRAINING, HELD_OUT = "run.json", "losses.csv", "pretraining.csv", "held_out.csv"
COUNTS = ("images_seen", "resumed_from", "seconds", "pretraining_seconds")
PLACE = ("device", "torch", "processes")
AGAIN = "copy the folder again"


@dataclass(frozen=True)
class FinishedRun:
    """A training that ended, read back from its folder."""

    variant: Variant
    settings: TrainSettings
    result: TrainResult
    place: dict[str, str]  # device, torch, processes


def plan(variant: Variant, settings: TrainSettings) -> dict[str, Any]:
    """Plain data that `read_plan` reads back from a file."""
    return {"variant": variant.to_dict(), "settings": asdict(settings)}


def read_plan(path: Path) -> tuple[Variant, TrainSettings]:
    """Variant and settings of a JSON file: a run.json, or what `face2anime config` prints.

    Absent settings keep their defaults. Raises ModelError when the file is absent or broken, or
    has an unknown key or a value of the wrong type.
    """
    data = read_json(path)
    if not isinstance(data.get("variant"), dict):
        raise ModelError(f"{path} holds no `variant`: make one with `face2anime config NAME`")
    unknown = f"{path}: unknown"
    refuse_unknown("key", data, ("variant", "settings", "key", *COUNTS, *PLACE), unknown)
    settings = data.get("settings", {})
    if not isinstance(settings, dict):
        raise ModelError(f"{path}: `settings` must map names to values")
    defaults = asdict(TrainSettings())
    refuse_unknown("setting", settings, defaults, unknown)
    for name, value in settings.items():
        kind = type(defaults[name])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ModelError(f"{path}: setting `{name}` must be of type {kind.__name__}")
    return variant_from_dict(data["variant"]), TrainSettings(**settings)


def write_run(out: Path, variant: Variant, settings: TrainSettings, result: TrainResult) -> None:
    """Write weights, curves and, at the end, run.json into `out`."""
    save_translator(out, result.translator, result.key, result.images_seen)
    result.history.to_csv(out / LOSSES, index=False)
    result.held_out.to_csv(out / HELD_OUT, index=False)
    if len(result.pretraining):
        result.pretraining.to_csv(out / PRETRAINING, index=False)
    counts = {name: getattr(result, name) for name in COUNTS}
    place = {
        "device": device_name(pick_device(settings.device)),
        "torch": torch.__version__,
        "processes": world_size(),
    }
    write_json(out / RUN, {**plan(variant, settings), "key": result.key, **counts, **place})


def read_run(folder: Path) -> FinishedRun:
    """What `write_run` wrote, weights on the CPU.

    Raises ModelError when the training has not ended or a file is absent, broken, or of another
    run.
    """
    if not (folder / RUN).is_file():
        raise ModelError(f"{folder} has no {RUN}: its training did not end, run it again to go on")
    variant, settings = read_plan(folder / RUN)
    told = read_json(folder / RUN)
    missing = [name for name in ("key", *COUNTS, *PLACE) if name not in told]
    if missing:
        raise ModelError(f"{folder / RUN} lacks {', '.join(missing)}: {AGAIN}")
    if not is_key(told["key"]):
        raise ModelError(f"{folder / RUN}: `key` is none, 64 hex digits: {AGAIN}")
    translator = load_translator(folder, "cpu")
    if read_config(folder).get("key") != told["key"]:
        raise ModelError(f"{folder}: {CONFIG} and {RUN} are of two runs: {AGAIN}")
    pretraining = folder / PRETRAINING  # few variants have one
    result = TrainResult(
        translator=translator,
        history=read_curves(folder / LOSSES, AGAIN),
        held_out=read_curves(folder / HELD_OUT, AGAIN),
        key=told["key"],
        pretraining=read_curves(pretraining, AGAIN) if pretraining.exists() else pd.DataFrame(),
        **{name: told[name] for name in COUNTS},
    )
    place = {name: str(told[name]) for name in PLACE}
    return FinishedRun(variant, settings, result, place)


def sheets_of(folder: Path) -> dict[str, Path]:
    """The sample sheets of a run's folder, by images seen as eight digits."""
    return {path.stem.split("-")[1]: path for path in sorted(folder.glob("samples-*.png"))}


def device_name(device: torch.device) -> str:
    """As the maker calls a GPU; a CPU by its architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU" if device.type == "cpu" else device.type

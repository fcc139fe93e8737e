"""`python -m models.train`: train one variant from a folder of splits, without DVC or MLflow.

On several GPUs: `torchrun --nproc-per-node N -m models.train …`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from models.data.domain import Domain, StreamedDomain, load_domain
from models.data.streaming import load_training
from models.errors import ModelError
from models.failures import one_line
from models.knobs import add_options, given, refuse_unknown
from models.metrics.held_out import features_if_here
from models.recognizer.network import Recognizer
from models.recognizer.training import load_recognizer
from models.runtime.device import pick_device
from models.runtime.distributed import from_first, processes, rank
from models.runtime.files import read_json
from models.training.callback import Silent
from models.training.engine import train
from models.training.run_file import PRETRAINING, RUN, read_plan, write_run
from models.training.settings import TrainSettings
from models.training.state import clear_state
from models.variants import BUILT_IN, Variant, variant_from_dict

CALIBRATION_STEPS = 12  # timed before a run that is given in minutes


class SamplePNGs(Silent):
    """Writes each sample sheet to `out/samples-<images>.png`; the curves are written at the end."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_samples(self, images: int, sheet: Tensor) -> None:
        """One PNG a sheet."""
        to_pil_image(sheet).save(self.out / f"samples-{images:08d}.png")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `-h` explains it."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with train/ and val/ of *.parquet shards")
    add("--out", type=Path, required=True, help="folder for weights, curves, samples and run.json")
    add("--variant", help=f"{', '.join(BUILT_IN)}, or a JSON file of keys (default: cyclegan)")
    config = "JSON file of a variant and settings, such as a run.json; other options go before it"
    add("--config", type=Path, help=config)
    add("--recognizer", type=Path, help="folder of a trained one, for losses that ask it")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--images", type=int, help="budget in image pairs")
    length.add_argument("--minutes", type=float, help="budget in minutes, measured at the start")
    where = "hold all training images in memory, or stream them (default: as they fit)"
    add("--resident", action=argparse.BooleanOptionalAction, help=where)
    add("--workers", type=int, help="processes that decode what is streamed (default: spare cores)")
    # Only those that are given go into the namespace: a file or a default has the others.
    add_options(parser, Variant, ["channels", "blocks"])
    settings = [field.name for field in fields(TrainSettings) if field.name != "budget_images"]
    add_options(parser, TrainSettings, settings)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Train as the command line says; raises ModelError for what the user can put right."""
    variant, settings = chosen(args)
    recognizer = load_recognizer(args.recognizer, settings.device) if args.recognizer else None
    device, size = pick_device(settings.device), settings.image_size
    photos, anime = load_training(args.data, "train", size, device, args.resident, args.workers)
    held = (
        load_domain(args.data, "val", "photos", size),
        load_domain(args.data, "val", "anime", size),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    for old in (RUN, PRETRAINING):  # of a run that ended here: from now on this folder is not whole
        (args.out / old).unlink(missing_ok=True)
    if args.images:
        settings = replace(settings, budget_images=args.images)
    elif args.minutes:
        # Each process times itself; all have to do with what the first one found.
        budget = from_first(
            measured_budget(variant, settings, photos, anime, args.minutes, recognizer)
        )
        if rank() == 0:
            told = f"{args.minutes:g} minutes are {budget:,} images here"
            print(f"{told}; to repeat: --images {budget}")
        settings = replace(settings, budget_images=budget)

    state_dir = args.out / "state"
    shown = SamplePNGs(args.out)
    features = features_if_here(settings.device) if rank() == 0 else None
    result = train(variant, settings, photos, anime, held, state_dir, shown, recognizer, features)
    if rank() > 0:
        return
    write_run(args.out, variant, settings, result)
    clear_state(state_dir, result.key)
    rate = (result.images_seen - result.resumed_from) / max(result.seconds, 1e-9)
    print(f"{result.images_seen:,} images, {rate:.1f} pairs/s: {args.out}")


def chosen(args: argparse.Namespace) -> tuple[Variant, TrainSettings]:
    """Of `--config` or the defaults, changed by what the command line gives besides."""
    variant, settings = (
        read_plan(args.config) if args.config else (BUILT_IN["cyclegan"], TrainSettings())
    )
    keys = variant_keys(args.variant) if args.variant else variant.to_dict()
    sizes, changes = given(args, Variant), given(args, TrainSettings)
    return variant_from_dict({**keys, **sizes}), replace(settings, **changes)


def variant_keys(name: str) -> dict[str, Any]:
    """Keys of a built-in variant, or of the JSON file `name`, which is then named as the file."""
    path = Path(name)
    if path.suffix == ".json":
        if not path.is_file():
            raise ModelError(f"{path} is not there: name a built-in variant or a JSON file of keys")
        return {"name": path.stem, **read_json(path)}
    refuse_unknown("name", [name], BUILT_IN, "unknown variant")
    return BUILT_IN[name].to_dict()


def measured_budget(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    minutes: float,
    recognizer: Recognizer | None = None,
) -> int:
    """How many image pairs fit in `minutes` here: a short trial run, timed."""
    trial = replace(settings, budget_images=settings.batch_size * CALIBRATION_STEPS, sample_count=1)
    held_out = photos.take([0]), anime.take([0])
    result = train(variant, trial, photos, anime, held_out, recognizer=recognizer)
    seconds = result.seconds + result.pretraining_seconds
    return max(settings.batch_size, int(minutes * 60 * trial.budget_images / seconds))


def main() -> None:
    """Entry point: one line and exit code 1 for whatever goes wrong."""
    number = os.environ.get("RANK", "0") if int(os.environ.get("WORLD_SIZE", "1")) > 1 else ""
    with one_line(f"error in process {number}" if number else "error", ModelError), processes():
        run(parse())


if __name__ == "__main__":
    main()

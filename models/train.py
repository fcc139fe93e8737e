"""`python -m models.train`: train one variant from a folder of splits, without DVC or MLflow."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from models.checkpoint import save_translator
from models.data import Domain, load_domain
from models.engine import TrainSettings, train
from models.errors import ModelError
from models.files import read_json
from models.recognizer import load_recognizer
from models.recognizer_net import Recognizer
from models.state import clear_state
from models.variants import BUILT_IN, Variant, refuse_unknown, variant_from_dict

CALIBRATION_STEPS = 12  # timed before a run that is given in minutes


class SamplePNGs:
    """Writes each sample sheet to `out/samples-<images>.png`."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """The losses go to losses.csv at the end."""

    def on_samples(self, images: int, sheet: Tensor) -> None:
        """One PNG a sheet."""
        to_pil_image(sheet).save(self.out / f"samples-{images:08d}.png")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `-h` explains it."""
    defaults = TrainSettings()
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with train/ and val/ of *.parquet shards")
    add("--out", type=Path, required=True, help="folder for weights, losses.csv and samples")
    add("--variant", default="cyclegan", help=f"{', '.join(BUILT_IN)}, or a JSON file of keys")
    add("--recognizer", type=Path, help="folder of a trained one, for losses that ask it")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--images", type=int, help="budget in image pairs")
    length.add_argument("--minutes", type=float, help="budget in minutes, measured at the start")
    add("--image-size", type=int, default=defaults.image_size, help="pixels")
    add("--batch", type=int, default=defaults.batch_size)
    add("--lr", type=float, default=defaults.lr)
    add("--channels", type=int, help="of the generator's first layer (published: 64; CPU: 16)")
    add("--blocks", type=int, help="residual blocks (published: 6; CPU: 3)")
    add("--seed", type=int, default=defaults.seed)
    add("--precision", choices=("auto", "bf16", "fp32"), default=defaults.precision)
    add("--device", default=defaults.device)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Train as the command line says; raises ModelError for what the user can put right."""
    sizes = {k: getattr(args, k) for k in ("channels", "blocks") if getattr(args, k) is not None}
    variant = variant_from_dict({**variant_keys(args.variant), **sizes})
    recognizer = load_recognizer(args.recognizer, args.device) if args.recognizer else None
    settings = TrainSettings(
        batch_size=args.batch, image_size=args.image_size, lr=args.lr, seed=args.seed,
        precision=args.precision, device=args.device,
    )  # fmt: skip
    photos, anime, *held_out = (
        load_domain(args.data, split, domain, args.image_size)
        for split in ("train", "val")
        for domain in ("photos", "anime")
    )
    args.out.mkdir(parents=True, exist_ok=True)
    if args.images:
        settings = replace(settings, budget_images=args.images)
    elif args.minutes:
        budget = measured_budget(variant, settings, photos, anime, args.minutes, recognizer)
        print(f"{args.minutes:g} minutes are {budget:,} images here; to repeat: --images {budget}")
        settings = replace(settings, budget_images=budget)

    state_dir = args.out / "state"
    held = (held_out[0], held_out[1])
    shown = SamplePNGs(args.out)
    result = train(variant, settings, photos, anime, held, state_dir, shown, recognizer)
    save_translator(args.out, result.translator, result.key, result.images_seen)
    result.history.to_csv(args.out / "losses.csv", index=False)
    if len(result.pretraining):
        result.pretraining.to_csv(args.out / "pretraining.csv", index=False)
    clear_state(state_dir, result.key)
    rate = (result.images_seen - result.resumed_from) / max(result.seconds, 1e-9)
    print(f"{result.images_seen:,} images, {rate:.1f} pairs/s: {args.out}")


def variant_keys(name: str) -> dict[str, Any]:
    """Keys of a built-in variant, or of the JSON file `name`, which is then named as the file."""
    path = Path(name)
    if path.suffix == ".json":
        if not path.is_file():
            raise ModelError(f"{path} is not there: name a built-in variant or a JSON file of keys")
        return {"name": path.stem, **read_json(path)}
    refuse_unknown("name", [name], BUILT_IN)
    return BUILT_IN[name].to_dict()


def measured_budget(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain,
    anime: Domain,
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
    """Entry point: one line and exit code 1 for a ModelError."""
    try:
        run(parse())
    except ModelError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

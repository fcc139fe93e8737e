"""``python -m tests.bench.recipes OUT [RECIPE…]``: which recipe wins, given as long as the others?

Run it where ``face2anime profile quality && dvc repro recognizer`` was run. Every recipe trains for
the same processor minutes of one thread on the same faces: as many pairs as trials say fit, all
recipes tried side by side before any trains, on a quiet machine; after that other work slows the
bench and changes nothing. What is in ``OUT`` already is not done again, so seeds may be shared out
among processes, or added. Prints a row a recipe: means over seeds of scores on validation images,
and the half-width of their 95 % interval; draws ``pictures-SEED.png``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from scipy.stats import t as student

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.data.augment import channels_last
from models.data.domain import Domain
from models.domains import DIRECTIONS, DOMAINS
from models.recognizer.network import Recognizer
from models.recognizer.training import load_recognizer
from models.runtime.files import read_json
from models.training.callback import Callback, Silent
from models.training.engine import TrainResult, train
from models.training.settings import TrainSettings
from models.variants import BUILT_IN, Variant, variant_from_dict
from pipeline.core import params, stage, yaml_files
from pipeline.core.paths import EVALUATOR, SPLITS
from pipeline.evaluate.evaluator import Evaluator
from pipeline.evaluate.measure import evaluate_direction, load_held_out, load_some
from pipeline.figures.sheets import contact_sheet
from pipeline.imaging.align import template_places
from tests.bench.markdown import markdown
from tests.project import ROOT

TRIAL_STEPS, TRIALS = 10, 2  # the quickest trial counts
ROW = 10  # photos of the sheet
SHOWN = 4  # held-out images that a training itself looks at: its curves are not asked for
MOST = 300  # validation images of each domain that are scored
SCORES = {  # column → where a direction's block has it
    "KID": ("quality", "kid"),
    "found": ("faces", "found"),
    "well formed": ("faces", "well_formed"),
    "hair": ("agreement", "hair"),
    "yaw": ("faces", "yaw_kept"),
    "mouth": ("faces", "mouth_open_kept"),
    "diversity": ("quality", "diversity"),
}


@dataclass(frozen=True)
class Recipe:
    """A variant and how it is trained."""

    variant: Variant
    settings: TrainSettings


def recipes() -> dict[str, Recipe]:
    """Every recipe by name; all but one have the sizes of ``profiles/quality.yaml``."""
    section = yaml_files.read(ROOT / "profiles/quality.yaml")
    shared = yaml_files.read(ROOT / "params.yaml")["train"] | section["train"]
    settings = TrainSettings(
        **{name: value for name, value in shared.items() if name in TrainSettings.__annotations__}
    )
    settings = replace(
        settings, threads=1, ema_half_life=400, sample_every=0, evaluate_every=0, state_every=0
    )
    base = section["variants"]["projected"]
    small = {key: base[key] for key in ("channels", "blocks", "upsampling", "norm")}

    def ours(**changes: Any) -> Recipe:
        losses = {**base["losses"], **changes.pop("losses", {})}
        return Recipe(_variant({**base, **changes, "losses": losses}), settings)

    def patch(losses: Mapping[str, float], **changes: Any) -> Recipe:
        keys = {**small, "discriminator_channels": 32, "discriminator_rate": 0.25, **changes}
        return Recipe(_variant({**keys, "losses": losses}), settings)

    published = replace(settings, batch_size=1, lr=2e-4, precision="fp32")
    hair = params.load(params.Recognizer).heads["hair"]
    shared_code = {"cycle": 0, "reconstruction": 3, "semantic_consistency": 1}
    domain = {**shared_code, "domain_adversarial": 1}
    return {
        "published CycleGAN": Recipe(BUILT_IN["cyclegan"], published),
        "patch": patch({"adversarial": 1, "cycle": 3, "identity": 1}),
        "U-GAT-IT's losses and attention": patch(
            {"adversarial": 1, "cycle": 10, "identity": 10, "cam": 1000},
            norm="adalin", attention="cam", discriminator_attention="cam",
            discriminator_norm="spectral",
        ),
        "patch, Wasserstein critic": patch(
            {"adversarial": 0.1, "cycle": 3, "identity": 1},
            adversarial_form="wasserstein", penalty="gradient_penalty", discriminator_norm="none",
            discriminator_rate=1.0, discriminator_steps=5,
        ),
        "projected": ours(),
        "projected, no colour": ours(losses={"colour": 0}),
        "projected, attributes": ours(losses={"attributes": 1}),
        "projected, perceptual": ours(losses={"perceptual": 1}),
        "projected, hair label": ours(labels={"hair": hair}),
        "projected XGAN": ours(architecture="xgan", losses=shared_code),
        "projected XGAN, domain-adversarial": ours(architecture="xgan", losses=domain),
    }  # fmt: skip


def _variant(keys: Mapping[str, Any]) -> Variant:
    return variant_from_dict({"name": "recipe", **keys})


class Watch(Silent):
    """Reads the processor's time at every log point, in seconds."""

    def __init__(self) -> None:
        self.read: list[float] = []

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """A step is done."""
        self.read.append(time.process_time())


@dataclass(frozen=True)
class Bench:
    """The faces, and what scores translations."""

    train: tuple[Domain, Domain]
    held: Mapping[str, Mapping[str, Domain]]
    recognizer: Recognizer
    evaluator: Evaluator

    @classmethod
    def load(cls, size: int) -> Bench:
        """From the outputs of `dvc repro recognizer` in this folder."""
        photos, anime = (load_some(SPLITS, "train", name, size, 10**9) for name in DOMAINS)
        seen = dict(zip(DOMAINS, (photos, anime), strict=True))
        eyes = template_places(params.load(params.Align))
        evaluator = Evaluator.load(EVALUATOR, seen, params.load(params.Evaluate), "cpu", eyes)
        recognizer = load_recognizer(EVALUATOR.with_name("training"), "cpu")
        return cls((photos, anime), load_held_out(SPLITS, size, MOST), recognizer, evaluator)

    def trial(self, recipe: Recipe) -> float:
        """Pairs in a processor second, without what a training does once."""
        batch, watch = recipe.settings.batch_size, Watch()
        trial = replace(recipe.settings, budget_images=TRIAL_STEPS * batch, log_every=batch)
        self._train(replace(recipe, settings=trial), callback=watch)
        return batch * (len(watch.read) - 1) / (watch.read[-1] - watch.read[0])

    def _train(
        self, recipe: Recipe, state: Path | None = None, callback: Callback | None = None
    ) -> TrainResult:
        asked = self.recognizer if recipe.variant.asks_recognizer else None
        few = [self.held["val"][name].take(range(SHOWN)) for name in DOMAINS]
        held = few[0], few[1]
        return train(recipe.variant, recipe.settings, *self.train, held, state, callback, asked)

    def run(self, recipe: Recipe, folder: Path) -> dict[str, Any]:
        """Train and evaluate; the weights and ``scores.json`` are left in ``folder``."""
        start = time.process_time()
        result = self._train(recipe, folder / "state")
        scores = {
            "pairs": result.images_seen,
            "processor_minutes": (time.process_time() - start) / 60,
            **self.scored(result.translator, recipe.settings.seed),
        }
        save_translator(folder, result.translator, result.key, result.images_seen)
        stage.write_json(folder / "scores.json", scores)
        return scores

    def scored(self, translator: Any, seed: int) -> dict[str, dict[str, float]]:
        """Direction → column → score on validation images."""
        untrained = untrained_translator(translator.variant, translator.image_size, seed)
        told = {}
        for direction, (_, to) in DIRECTIONS.items():
            block = evaluate_direction(translator, untrained, self.evaluator, direction,
                                       self.held["val"], self.held["test"][to].images)  # fmt: skip
            told[direction] = {
                column: block[part][metric]["translated"]["value"]
                for column, (part, metric) in SCORES.items()
                if metric in block[part]
            }
        return told

    def pictures(self, path: Path, folders: Mapping[str, Path]) -> None:
        """Write a PNG: validation photos, and what each recipe's weights make of them, in rows."""
        photos = self.held["val"]["photos"].take(range(ROW))
        rows = {"photos": photos.images}
        for name, folder in folders.items():
            translator = load_translator(folder, "cpu")
            rows[name] = translator.translate(photos.images, next(iter(DIRECTIONS)), photos.labels)
        images = [face for row in rows.values() for face in channels_last(row)]
        captions = [text for name in rows for text in (name, *[""] * (ROW - 1))]
        contact_sheet(path, images, captions, columns=ROW)


def budgets(
    bench: Bench, chosen: Mapping[str, Recipe], minutes: float, path: Path
) -> dict[str, int]:
    """Recipe → pairs that fit in the processor minutes; what ``path`` says already stands."""
    told: dict[str, Any] = {"minutes": minutes, "pairs": {}}
    if path.exists():
        told = read_json(path)
    if told["minutes"] != minutes:
        raise SystemExit(f"{path} is of --minutes {told['minutes']}: give that, or another OUT")
    missing = {name: recipe for name, recipe in chosen.items() if name not in told["pairs"]}
    rates = [{name: bench.trial(missing[name]) for name in missing} for _ in range(TRIALS)]
    told["pairs"] |= {name: int(minutes * 60 * max(r[name] for r in rates)) for name in missing}
    path.parent.mkdir(parents=True, exist_ok=True)
    stage.write_json(path, told)
    return {name: told["pairs"][name] for name in chosen}


def half_width(values: list[float]) -> float:
    """Of the 95 % interval of a mean, by Student's t; NaN for one value."""
    if len(values) < 2:
        return float("nan")
    spread = statistics.stdev(values) / len(values) ** 0.5
    return float(student.ppf(0.975, len(values) - 1) * spread)


def table(scores: Mapping[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """A row a recipe and direction."""
    rows = []
    for name, runs in scores.items():
        for direction, (source, target) in DIRECTIONS.items():
            row = {"recipe": name, "direction": f"{source} → {target}", "seeds": len(runs),
                   "pairs": f"{runs[0]['pairs']:,}"}  # fmt: skip
            for column in SCORES:
                values = [run[direction][column] for run in runs if column in run[direction]]
                width = half_width(values)
                mean = f"{statistics.mean(values):.2f}" if values else ""
                row[column] = mean if width != width else f"{mean} ± {width:.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recipes", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("recipes", nargs="*", help="names, before the options; all")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", default="1,2,3")
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = recipes()
    chosen = {name: known[name] for name in args.recipes or known}
    bench = Bench.load(next(iter(chosen.values())).settings.image_size)
    pairs = budgets(bench, chosen, args.minutes, args.out / "pairs.json")
    done: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for seed in args.seeds.split(","):
        folders = {name: args.out / name.replace(" ", "-") / seed for name in chosen}
        for name, folder in folders.items():
            if not (folder / "scores.json").exists():
                settings = chosen[name].settings
                settings = replace(settings, budget_images=pairs[name], seed=int(seed))
                bench.run(replace(chosen[name], settings=settings), folder)
            done[name].append(read_json(folder / "scores.json"))
        bench.pictures(args.out / f"pictures-{seed}.png", folders)
        print(markdown(table(done)), flush=True)


if __name__ == "__main__":
    main()

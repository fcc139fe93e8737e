"""``python -m tests.bench.equal PROJECT [SEED…]``: does quality pay for speed?

Trains the demo's CycleGAN on the splits of a project in which `dvc repro` was run: as the demo
trains it, and one image at a time in float32, as the published loop does, for as many images and
for as many seconds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from models.data.domain import Domain
from models.domains import DIRECTIONS, DOMAINS
from models.metrics.estimate import Estimate
from models.metrics.features import FeatureSpace, ranking_space
from models.metrics.kid import kid
from models.runtime.device import pick_device
from models.training.engine import TrainResult, train
from models.training.settings import TrainSettings
from pipeline.core import params
from pipeline.train.inputs import load_data, load_variant
from tests.bench.markdown import markdown

VARIANT = "cyclegan"
FAST, SAME_IMAGES, SAME_SECONDS = "fast", "slow, as many images", "slow, as many seconds"


def slowed(settings: TrainSettings) -> TrainSettings:
    """One image a step in float32, with the learning rate that `TrainSettings` scales to it."""
    lr = settings.lr / math.sqrt(settings.batch_size)
    return replace(settings, batch_size=1, lr=lr, precision="fp32")


def trainings(
    settings: TrainSettings, data: Mapping[str, tuple[Domain, Domain]]
) -> dict[str, TrainResult]:
    """The fast run, the slow one, and a slow one whose budget takes the fast one's seconds."""
    variant = load_variant(VARIANT)

    def run(plan: TrainSettings) -> TrainResult:
        return train(variant, plan, *data["train"], data["val"])

    fast, slow = run(settings), run(slowed(settings))
    budget = int(slow.images_seen * fast.seconds / slow.seconds)
    shorter = run(replace(slowed(settings), budget_images=budget))
    return {FAST: fast, SAME_IMAGES: slow, SAME_SECONDS: shorter}


def kids(
    space: FeatureSpace, runs: Mapping[str, TrainResult], val: Mapping[str, Domain]
) -> dict[str, dict[str, Estimate]]:
    """direction → run → KID of its translations of validation images."""
    told = {}
    for direction, (source, target) in DIRECTIONS.items():
        images, labels = val[source].images, val[source].labels
        fakes = {
            name: run.translator.translate(images, direction, labels) for name, run in runs.items()
        }
        real = space(val[target].images)
        told[direction] = {name: kid(real, space(fake)) for name, fake in fakes.items()}
    return told


def equal_table(project: Path, seeds: list[int]) -> pd.DataFrame:
    """Three rows a seed: images, seconds and KID with its interval in both directions."""
    threads = torch.get_num_threads()
    section = params.load(params.Train).model_dump()
    base = TrainSettings(**section, device="auto", threads=threads)
    data = {s: load_data(project / "data/splits", s, base.image_size) for s in ("train", "val")}
    by_name = {s: dict(zip(DOMAINS, pair, strict=True)) for s, pair in data.items()}
    space = ranking_space()
    lines = []
    for seed in seeds:
        runs = trainings(replace(base, seed=seed), data)
        estimates = kids(space, runs, by_name["val"])
        for name, run in runs.items():
            cells = [
                f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"
                for e in (estimates[direction][name] for direction in DIRECTIONS)
            ]
            lines.append([seed, name, f"{run.images_seen:,}", f"{run.seconds:.0f}", *cells])
            print(*lines[-1], sep="\t", file=sys.stderr, flush=True)
    return pd.DataFrame(
        lines, columns=["seed", "run", "images", "seconds", *map(kid_of, DIRECTIONS)]
    )


def kid_of(direction: str) -> str:
    """A column's head."""
    return "KID " + " → ".join(DIRECTIONS[direction])


def equal_section(project: Path, seeds: list[int] | None = None) -> str:
    """The table, with what it means."""
    fast = params.load(params.Train)
    slow = slowed(TrainSettings(**fast.model_dump()))
    return f"""*Fast*: the demo's `{VARIANT}` as it is, batch {fast.batch_size}, learning rate
{fast.lr:g}, precision {fast.precision}; *slow*: batch {slow.batch_size}, learning rate
{slow.lr:.2g} (√{fast.batch_size} times less), precision {slow.precision}. On
{pick_device().type}, one run after the other. KID is of validation images, in the space that
ranks, with the interval of drawing those images again; another seed moves it too.

{markdown(equal_table(project, seeds or [fast.seed]))}
"""


if __name__ == "__main__":
    print(equal_section(Path(sys.argv[1]), list(map(int, sys.argv[2:]))))

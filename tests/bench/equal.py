"""``python -m tests.bench.equal PROJECT [SEED…]``: does quality pay for speed?

Trains the demo's CycleGAN on the splits of a project in which `dvc repro` was run: one image at a
time in float32, as the published loop does, and as the demo trains it, for as many images and for
as many seconds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from models.data import Domain
from models.device import pick_device
from models.domains import DIRECTIONS, DOMAINS
from models.engine import TrainResult, train
from models.kid import Estimate
from models.settings import TrainSettings
from pipeline import params
from pipeline.judge import Judge
from pipeline.train import load_data, load_variant
from tests.bench.markdown import markdown

VARIANT = "cyclegan"
SLOW, FAST, LONGER = "slow", "fast, as many images", "fast, as many seconds"


def slowed(settings: TrainSettings) -> TrainSettings:
    """One image a step in float32, with the learning rate that `TrainSettings` scales to it."""
    lr = settings.lr / math.sqrt(settings.batch_size)
    return replace(settings, batch_size=1, lr=lr, precision="fp32")


def trainings(
    settings: TrainSettings,
    data: Mapping[str, tuple[Domain, Domain]],
) -> dict[str, TrainResult]:
    """The slow run, the fast one, and a fast one whose budget takes the slow one's seconds."""
    variant = load_variant(VARIANT)

    def run(plan: TrainSettings) -> TrainResult:
        return train(variant, plan, *data["train"], data["val"])

    slow, fast = run(slowed(settings)), run(settings)
    budget = int(fast.images_seen * slow.seconds / fast.seconds)
    return {SLOW: slow, FAST: fast, LONGER: run(replace(settings, budget_images=budget))}


def judged(
    judge: Judge, runs: Mapping[str, TrainResult], val: Mapping[str, Domain]
) -> dict[str, dict[str, Estimate]]:
    """direction → run → KID of its translations of validation images."""
    told = {}
    for direction, (source, target) in DIRECTIONS.items():
        images, labels = val[source].images, val[source].labels
        fakes = {
            name: run.translator.translate(images, direction, labels) for name, run in runs.items()
        }
        told[direction] = judge.kids(val[target].images, fakes)
    return told


def equal_table(project: Path, seeds: list[int]) -> pd.DataFrame:
    """Three rows a seed: images, seconds and KID with its interval in both directions."""
    threads = torch.get_num_threads()
    section = params.load(params.Train).model_dump()
    base = TrainSettings(**section, device="auto", threads=threads)
    data = {s: load_data(project / "data/splits", s, base.image_size) for s in ("train", "val")}
    by_name = {s: dict(zip(DOMAINS, pair, strict=True)) for s, pair in data.items()}
    folder = project / "checkpoints/recognizer/evaluation"
    judge = Judge.load(folder, by_name["train"], params.load(params.Evaluate), "auto")
    lines = []
    for seed in seeds:
        runs = trainings(replace(base, seed=seed), data)
        estimates = judged(judge, runs, by_name["val"])
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
    return f"""*Slow*: the demo's `{VARIANT}` at batch {slow.batch_size}, {slow.precision}, learning
rate {slow.lr:.2g}; *fast* at batch {fast.batch_size}, precision {fast.precision}, learning rate
{fast.lr:g}: √{fast.batch_size} times as much. On {pick_device().type}, one run after the other. KID
is of validation images, by the evaluation recognizer, with the interval of drawing those images
again; another seed moves it too.

{markdown(equal_table(project, seeds or [fast.seed]))}
"""


if __name__ == "__main__":
    print(equal_section(Path(sys.argv[1]), list(map(int, sys.argv[2:]))))

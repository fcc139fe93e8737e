"""Stage ``evaluate@VARIANT``: how good a variant's translations are, beside controls.

Reads the splits, the evaluation recognizer (which no loss ever saw) and the variant's weights.
Writes ``reports/metrics/VARIANT.json`` and one sheet of held-out translations per direction, and
logs both into the MLflow run of the variant's training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.checkpoint import CONFIG, Translator, load_translator, untrained_translator
from models.data.domain import Domain, load_domain
from models.domains import DIRECTIONS, DOMAINS
from models.metrics.held_out import l1
from models.runtime.files import read_json
from pipeline.core import params, stage, tables, tracking
from pipeline.evaluate.evaluator import Judge
from pipeline.evaluate.truth import read_truth, with_truth
from pipeline.figures import sheets

SPLITS = Path("data/splits")
CHECKPOINTS = Path("checkpoints")
OTHER = {"val": "test", "test": "val"}

Held = Mapping[str, Mapping[str, Domain]]  # split → domain → images


def load_held_out(splits: Path, image_size: int, limit: int) -> dict[str, dict[str, Domain]]:
    """Validation and test images of both domains, at most ``limit`` each.

    Rows are sorted by content hash, so the first ``limit`` are a fair sample and always the same.
    """
    return {
        split: {name: load_some(splits, split, name, image_size, limit) for name in DOMAINS}
        for split in OTHER
    }


def load_some(splits: Path, split: str, domain: str, image_size: int, limit: int) -> Domain:
    """The first ``limit`` images of one split and domain, uint8 [N, 3, S, S]."""
    loaded = load_domain(splits, split=split, domain=domain, image_size=image_size)
    return loaded.take(range(min(limit, len(loaded))))


def evaluate(
    translator: Translator,
    untrained: Translator,
    judge: Judge,
    held: Held,
    truth: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """All numbers of one variant: split → direction → block of `evaluate_direction`."""
    result: dict[str, Any] = {"parameters": count_parameters(translator)}
    for split, domains in held.items():
        result[split] = {
            direction: evaluate_direction(
                translator,
                untrained,
                judge,
                direction,
                domains,
                others=held[OTHER[split]][DIRECTIONS[direction][1]].images,
                truth=truth.get(DIRECTIONS[direction][0]),
            )
            for direction in DIRECTIONS
        }
    return result


def evaluate_direction(
    translator: Translator,
    untrained: Translator,
    judge: Judge,
    direction: str,
    domains: Mapping[str, Domain],
    others: Tensor,
    truth: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Numbers of one split and direction.

    ``kid`` and its controls, each value, low, high, n_real, n_fake: ``untrained`` (the same
    network before training), ``copy`` (the source images as they are) and ``floor`` (``others``,
    real images of the target from the other held-out split: what a perfect translator gets).
    ``agreement``: see `Judge.agreement`; ``agreement_with_truth``, where there is a ``truth``: the
    same with what the demo really drew in place of the labels. ``cycle_l1``: mean absolute
    difference between a source and its way there and back, in [0, 1].
    """
    source, target = (domains[name] for name in DIRECTIONS[direction])
    fake = translator.translate(source.images, direction, source.labels)
    images = {
        "kid": fake,
        "untrained": untrained.translate(source.images, direction, source.labels),
        "copy": source.images,
        "floor": others,
    }
    back = translator.translate(fake, opposite(direction), source.labels)
    estimates = judge.kids(target.images, images)
    block: dict[str, Any] = {name: estimate.as_dict() for name, estimate in estimates.items()}
    block["agreement"] = judge.agreement(source, fake, target, direction)
    known = with_truth(source, truth) if truth is not None else None
    if known:
        rows = [place for place, name in enumerate(source.ids) if name in set(known.ids)]
        block["agreement_with_truth"] = judge.agreement(known, fake[rows], target, direction)
    block["cycle_l1"] = l1(source.images, back)
    return block


def draw(path: Path, translator: Translator, source: Domain, direction: str, rows: int) -> None:
    """Write a PNG of 2 × ``rows`` held-out sources, their translations and the way back."""
    shown = source.take(range(min(2 * rows, len(source))))
    there = translator.translate(shown.images, direction, shown.labels)
    back = translator.translate(there, opposite(direction), shown.labels)
    a, b = DIRECTIONS[direction]
    columns = {f"{a} (real)": shown.images, f"to {b}": there, f"back to {a}": back}
    title = f"{translator.variant.name}: {a} to {b}, held-out test images, not hand-picked"
    sheets.comparison_sheet(path, {name: channels_last(x) for name, x in columns.items()}, title)


def opposite(direction: str) -> str:
    """The other of the two directions."""
    return next(name for name in DIRECTIONS if name != direction)


def count_parameters(translator: Translator) -> int:
    """Weights needed to translate in both directions."""
    return sum(weight.numel() for weight in translator.network.parameters())


def channels_last(images: Tensor) -> np.ndarray:
    """uint8 [N, 3, S, S] → uint8 array [N, S, S, 3]."""
    return images.permute(0, 2, 3, 1).contiguous().numpy()


def headline(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers to compare runs by: every value under its dotted name, without its interval."""
    numbers = tracking.flatten(result)
    values = {
        name.removesuffix(".value"): x for name, x in numbers.items() if name[-6:] == ".value"
    }
    return {"parameters": result["parameters"], **values}


def main(variant: str) -> None:
    """Evaluate the variant VARIANT of params.yaml."""
    settings, compute = params.load(params.Evaluate), params.load(params.Compute)
    if compute.threads:
        torch.set_num_threads(compute.threads)
    translator = load_translator(CHECKPOINTS / variant, device=compute.device)
    size = translator.image_size
    untrained = untrained_translator(translator.variant, size, settings.seed).to(translator.device)
    train = {name: load_some(SPLITS, "train", name, size, settings.max_images) for name in DOMAINS}
    held = load_held_out(SPLITS, size, settings.max_images)
    judge = Judge.load(CHECKPOINTS / "recognizer/evaluation", train, settings, compute.device)

    with tracking.stage_run(
        f"train@{variant}",
        params.plain(settings),
        inputs=[SPLITS],
        resume_key=read_json(CHECKPOINTS / variant / CONFIG)["key"],
    ) as run:
        result = evaluate(translator, untrained, judge, held, read_truth())
        folder = stage.SHEETS / "evaluate" / variant
        with tables.new_folder(folder) as out:
            for direction, (source, _) in DIRECTIONS.items():
                path = out / f"{direction}.png"
                draw(path, translator, held["test"][source], direction, settings.sheet_rows)
        stage.write_json(stage.METRICS / f"{variant}.json", result)
        run.metrics(headline(result))
        run.artifact(stage.METRICS / f"{variant}.json", "evaluation")
        run.artifact(folder, "evaluation")


if __name__ == "__main__":
    stage.run(main)

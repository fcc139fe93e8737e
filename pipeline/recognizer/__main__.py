"""Stage ``recognizer``: two attribute networks, trained apart, on both domains at once.

Reads the splits. ``checkpoints/recognizer/training`` may serve losses (a perceptual loss, XGAN's
teacher); ``checkpoints/recognizer/evaluation`` only ever judges. Each learns from its own half of
the training images with its own seed, so that a translator which learns to please one has no
reason to please the other. Their confidence is then calibrated on the validation images. Also
writes loss curves, confusion matrices, a reliability diagram and a metrics file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from models.data.domain import Domain, load_domain
from models.domains import DOMAINS
from models.recognizer.calibration import Reliability, calibrate, reliabilities
from models.recognizer.network import Recognizer
from models.recognizer.training import (
    RecognizerSettings,
    accuracy,
    class_indices,
    save_recognizer,
    train_recognizer,
)
from models.runtime.files import write_bytes
from pipeline.core import params, stage, tables, tracking
from pipeline.core.errors import StageError
from pipeline.figures import charts

SPLITS = Path("data/splits")
OUT = Path("checkpoints/recognizer")
CURVES = stage.PLOTS / "recognizer.csv"
SHEETS = stage.SHEETS / "recognizer"
ROLES = ("training", "evaluation")


def halves(domain: Domain, seed: int) -> tuple[Domain, Domain]:
    """Two disjoint halves of a domain, drawn at random; the same for the same seed."""
    order = np.random.default_rng([seed, len(domain)]).permutation(len(domain))
    middle = len(domain) // 2
    return domain.take(sorted(order[:middle])), domain.take(sorted(order[middle:]))


def check_heads(domains: Sequence[Domain], heads: Mapping[str, Sequence[str]]) -> None:
    """Raise StageError for a head of whose classes the images know fewer than two."""
    for head, classes in heads.items():
        seen = {label for d in domains if head in d.labels for label in d.labels[head]}
        known = sorted(seen & set(classes))
        if len(known) < 2:
            raise StageError(
                f"head '{head}' has {len(known)} known classes ({', '.join(known) or 'none'}) in "
                f"the training images, it needs two: remove recognizer.heads.{head} from "
                "params.yaml, or add images"
            )


def train_pair(
    train: Mapping[str, Domain], settings: params.Recognizer, device: str
) -> dict[str, tuple[Recognizer, pd.DataFrame]]:
    """Role → (network, loss history), each from its own half of ``train``. Raises StageError."""
    budget = RecognizerSettings(
        images=settings.images,
        batch_size=settings.batch_size,
        lr=settings.lr,
        channels=settings.channels,
        device=device,
    )
    split = [halves(domain, settings.seed) for domain in train.values()]
    trained = {}
    for i, role in enumerate(ROLES):
        domains = [pair[i] for pair in split]
        check_heads(domains, settings.heads)
        trained[role] = train_recognizer(domains, settings.heads, budget, seed=settings.seed + i)
    return trained


def scores(recognizer: Recognizer, held_out: Mapping[str, Domain]) -> dict[str, Any]:
    """Domain → head → ``balanced`` accuracy and ``chance``, in [0, 1], and labelled ``images``.

    A head of which a domain has one class alone is left out: anybody gets that right.
    """
    result: dict[str, Any] = {}
    for name, domain in held_out.items():
        result[name] = {
            head: {name: values[name] for name in ("balanced", "chance", "images")}
            for head, values in accuracy(recognizer, domain).items()
            if len(set(domain.labels[head]) & set(recognizer.heads[head])) > 1
        }
    return result


def calibration_errors(
    measured: Mapping[str, Mapping[str, Mapping[str, Reliability]]],
) -> dict[str, Any]:
    """Domain → head → expected calibration error ``before`` and ``after``, in [0, 1], and the
    number of labelled ``images``, from a domain's `reliabilities` each."""
    return {
        name: {
            head: {
                **{when: bins.error for when, bins in pair.items()},
                "images": int(pair["after"].counts.sum()),
            }
            for head, pair in heads.items()
        }
        for name, heads in measured.items()
    }


def confusion(recognizer: Recognizer, domain: Domain, head: str) -> np.ndarray:
    """Counts int [K, K] of a head's true (down) and predicted (across) classes."""
    classes = recognizer.heads[head]
    true = class_indices(list(domain.labels[head]), classes).numpy()
    told = recognizer.predict(domain.images)[head].argmax(dim=1).numpy()
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (true[true >= 0], told[true >= 0]), 1)
    return counts


def curves(trained: Mapping[str, tuple[Recognizer, pd.DataFrame]]) -> pd.DataFrame:
    """Losses as one table: images, then ROLE_HEAD columns."""
    parts = [
        history.drop(columns="lr").set_index("images").add_prefix(f"{role}_")
        for role, (_, history) in trained.items()
    ]
    return pd.concat(parts, axis=1).reset_index()


def load(split: str, name: str, image_size: int) -> Domain:
    """One split of a domain. Where a picture is from is a label, too: the one that a head can
    learn where nothing else is known."""
    loaded = load_domain(SPLITS, split, name, image_size)
    return replace(loaded, labels=loaded.labels.assign(domain=name))


def draw(
    sheets: Path,
    judge: Recognizer,
    held_out: Mapping[str, Domain],
    measured: Mapping[str, Mapping[str, Mapping[str, Reliability]]],
) -> None:
    """Confusion matrices on validation and reliability diagrams on test images, as PNG."""
    for head in [name for name, classes in judge.heads.items() if len(classes) > 2]:
        counts = {
            name: confusion(judge, domain, head)
            for name, domain in held_out.items()
            if head in domain.labels
        }
        title = f"{head}: validation, evaluation recognizer"
        charts.confusion(sheets / f"{head}.png", counts, judge.heads[head], title)
    panels = {
        f"{head}, {name}": pair for name, heads in measured.items() for head, pair in heads.items()
    }
    if panels:
        title = "Reliability: test, evaluation recognizer"
        charts.reliability(sheets / "reliability.png", panels, title)


def main() -> None:
    """Run the stage."""
    settings, compute = params.load(params.Recognizer), params.load(params.Compute)
    if compute.threads:
        torch.set_num_threads(compute.threads)
    train, held_out, test = (
        {name: load(split, name, settings.image_size) for name in DOMAINS}
        for split in ("train", "val", "test")
    )
    with tracking.stage_run("recognizer", params.plain(settings), inputs=[SPLITS]) as run:
        trained = train_pair(train, settings, compute.device)
        for recognizer, _ in trained.values():
            calibrate(recognizer, list(held_out.values()))
        with tables.new_folder(OUT) as out:
            for role, (recognizer, _) in trained.items():
                save_recognizer(out / role, recognizer)
        losses = curves(trained)
        write_bytes(CURVES, losses.to_csv(index=False, float_format="%.6g").encode())
        # Measured on images that no temperature was fitted to.
        measured = {
            role: {name: reliabilities(network, domain) for name, domain in test.items()}
            for role, (network, _) in trained.items()
        }
        with tables.new_folder(SHEETS) as sheets:
            draw(sheets, trained["evaluation"][0], held_out, measured["evaluation"])
        metrics: dict[str, Any] = {
            role: {
                **scores(network, held_out),
                "temperature": network.temperatures,
                "calibration_error": calibration_errors(measured[role]),
            }
            for role, (network, _) in trained.items()
        }
        stage.write_json(stage.METRICS / "recognizer.json", metrics)
        run.metrics(metrics)
        run.curves(losses)
        run.artifact(SHEETS, "sheets")


if __name__ == "__main__":
    stage.run(main)

"""How good a recognizer is: scores, calibration, confusion, and the pictures of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.data.domain import Domain
from models.recognizer.calibration import Reliability
from models.recognizer.network import Recognizer
from models.recognizer.training import accuracy, class_indices
from pipeline.figures import charts


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


def draw(
    sheets: Path,
    evaluator: Recognizer,
    held_out: Mapping[str, Domain],
    measured: Mapping[str, Mapping[str, Mapping[str, Reliability]]],
) -> None:
    """Confusion matrices on validation and reliability diagrams on test images, as PNG."""
    for head in [name for name, classes in evaluator.heads.items() if len(classes) > 2]:
        counts = {
            name: confusion(evaluator, domain, head)
            for name, domain in held_out.items()
            if head in domain.labels
        }
        title = f"{head}: validation, evaluation recognizer"
        charts.confusion(sheets / f"{head}.png", counts, evaluator.heads[head], title)
    panels = {
        f"{head}, {name}": pair for name, heads in measured.items() for head, pair in heads.items()
    }
    if panels:
        title = "Reliability: test, evaluation recognizer"
        charts.reliability(sheets / "reliability.png", panels, title)

"""Which variant is best: lowest validation KID, and of those tied with it the simplest.

Rule: lowest validation KID in ``compare.direction``; variants whose KID lies within the leader's
95 % interval are tied with it, and of tied variants the one with the fewest parameters goes first.
Test numbers take no part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import stage
from pipeline.core.errors import StageError

SHOWN = ["rank", "variant", "parameters", "kid", "kid_low", "kid_high", "hair", "hair_shuffled"]

Metrics = Mapping[str, Any]  # what pipeline.evaluate writes for one variant


def read_metrics(variants: list[str], folder: Path = stage.METRICS) -> dict[str, Metrics]:
    """Metrics by variant, in the order given. Raises StageError when a file is absent or broken."""
    return {name: _json(folder / f"{name}.json", f"evaluate@{name}") for name in variants}


def leaderboard(metrics: Mapping[str, Metrics], direction: str) -> pd.DataFrame:
    """One row a variant, ranked: validation numbers of ``direction``, controls beside them.

    Columns: rank (1 is best), variant, parameters, then kid and each control and agreement with
    their 95 % intervals as NAME, NAME_low, NAME_high. Raises StageError when no variant has a
    finite KID, or a file lacks what `pipeline.evaluate` writes.
    """
    rows = []
    for variant, values in metrics.items():
        try:
            block = values["val"][direction]
            row = {"variant": variant, "parameters": values["parameters"], **_intervals(block)}
            rows.append({**row, "cycle_l1": block["cycle_l1"]})
        except (KeyError, TypeError) as error:
            raise StageError(
                f"reports/metrics/{variant}.json lacks {error}: dvc repro -f evaluate@{variant}"
            ) from None
    frame = pd.DataFrame(rows)
    if not frame["kid"].notna().any():
        raise StageError("no variant has a finite KID: lower train.lr and train again")
    frame = frame.iloc[rank(frame)].reset_index(drop=True)
    frame.insert(0, "rank", range(1, len(frame) + 1))
    return frame


def rank(frame: pd.DataFrame) -> list[int]:
    """Row numbers of ``frame`` (variant, parameters, kid, kid_high), best first.

    Again and again, the lowest KID among the rows left leads; all rows with a KID up to the
    leader's upper bound are tied with it; the tied row with the fewest parameters is next. Rows
    whose KID is NaN come last.
    """
    left = frame.reset_index(drop=True).sort_values(["kid", "parameters", "variant"])
    order: list[int] = []
    while not left.empty:
        leader = left.iloc[0]
        tied = left[left["kid"] <= leader["kid_high"]]
        best = (tied if len(tied) else left).sort_values("parameters", kind="stable").index[0]
        order.append(int(best))
        left = left.drop(best)
    return order


def checks(row: pd.Series) -> dict[str, int]:
    """What a useful translator must do, as 0 or 1, from a row of the leaderboard.

    A check passes only when the variant's whole 95 % interval is on the good side of the control's
    value. A check without a measurement (too few labelled images) is left out.
    """
    sides = {
        "beats_untrained": (row.get("untrained"), row.get("kid_high")),
        "beats_copy": (row.get("copy"), row.get("kid_high")),
        "keeps_hair_better_than_shuffled": (row.get("hair_low"), row.get("hair_shuffled")),
    }
    return {
        name: int(more > less)
        for name, (more, less) in sides.items()
        if more is not None and less is not None and not math.isnan(more)
    }


def overview(board: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The few numbers worth a column in `dvc exp show`: data set sizes, and validation scores."""
    kept = {"kid": "kid", "kid_high": "kid_high", "hair": "hair_kept", "smile": "smile_kept"}
    scores = {
        str(row["variant"]): {new: row[old] for old, new in kept.items() if old in row}
        for row in board.to_dict("records")
    }
    split, dedupe = (_json(folder / f"{name}.json", name) for name in ("split", "dedupe"))
    sizes = {domain: sum(split[domain][s] for s in ("train", "val", "test")) for domain in split}
    return {**sizes, "duplicates_dropped": dedupe["dropped"], **scores}


def summary(board: pd.DataFrame) -> str:
    """The leaderboard as a few lines of plain text, with the winner and where to look next."""
    table = board[[c for c in SHOWN if c in board]].to_string(index=False, float_format="%.3f")
    hair = "; hair: share kept, higher is better" if "hair" in board else ""
    return (
        f"Variants on validation (KID: lower is better{hair})\n"
        f"{table}\n"
        f"Winner: {board['variant'][0]}\n"
        "The page: reports/index.html    the runs: make ui"
    )


def _intervals(block: Mapping[str, Any]) -> dict[str, float]:
    """KID, its controls and the agreements of one direction as flat columns."""
    named = {name: block[name] for name in ("kid", "untrained", "copy", "floor")}
    for head, scores in block["agreement"].items():
        named[head] = scores["translated"]
        named[f"{head}_copy"] = scores["copy"]
        named[f"{head}_shuffled"] = scores["shuffled"]
    columns = {}
    for name, estimate in named.items():
        columns[name] = estimate["value"]
        columns[f"{name}_low"], columns[f"{name}_high"] = estimate["low"], estimate["high"]
    return columns


def _json(path: Path, stage_name: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StageError(f"{path} is missing or broken: dvc repro {stage_name}") from None

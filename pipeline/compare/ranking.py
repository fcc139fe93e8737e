"""Which variant is best, by one rule on validation.

Rule. First come the variants on whose translations faces are found (`FOUND_LEAST`). Of these, those
are compared in KID (lower is better), then, where KID cannot part them, in how often a face is
found, then in how much is kept of the labels (`KEPT`): each time whoever is worse than the bound of
the best one's 95 % interval is out. Those left are tied, and the one with the fewest parameters is
named first. Test numbers take no part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import stage
from pipeline.core.errors import StageError

RULE = {"kid": -1, "found": 1, "kept": 1}  # in this order; 1: more is better
FOUND_LEAST = 0.5  # of the share of real images on which a face is found
KEPT = ("hair", "eyes", "smile", "glasses", "gender")  # labels whose mean is "kept"
SHOWN = {
    "rank": "rank",
    "variant": "variant",
    "parameters": "parameters",
    "kid": "KID",
    "kid_low": "from",
    "kid_high": "to",
    "kid_copy": "(copy)",
    "found": "face found",
    "found_floor": "(real)",
    "kept": "kept",
    "kept_shuffled": "(chance)",
}

Metrics = Mapping[str, Any]  # what pipeline.evaluate writes for one variant


def read_metrics(variants: list[str], folder: Path = stage.METRICS) -> dict[str, Metrics]:
    """Metrics by variant, in the order given. Raises StageError when a file is absent or broken."""
    return {name: _json(folder / f"{name}.json", f"evaluate@{name}") for name in variants}


def leaderboard(metrics: Mapping[str, Metrics], direction: str) -> pd.DataFrame:
    """One row a variant, ranked: validation numbers of ``direction``, controls beside them.

    Columns: rank (1 is best; tied variants have the same), variant, parameters, evaluator, data,
    then each measure with its 95 % interval as NAME, NAME_low, NAME_high, and its controls as
    NAME_copy, NAME_floor and so on.

    Raises:
        StageError: no variant has a finite KID; a file lacks what `pipeline.evaluate` writes, or
            was measured by another evaluator or on other data than the rest.
    """
    rows = []
    for variant, values in metrics.items():
        try:
            block = values["val"][direction]
            row = {"variant": variant, "parameters": values["parameters"], **values["comparable"]}
            rows.append({**row, **_columns(block), "cycle_l1": block["cycle_l1"]})
        except (KeyError, TypeError) as error:
            raise StageError(
                f"reports/metrics/{variant}.json lacks {error}: dvc repro -f evaluate@{variant}"
            ) from None
    frame = pd.DataFrame(rows)
    _check_comparable(frame)
    if not frame["kid"].notna().any():
        raise StageError("no variant has a finite KID: lower train.lr and train again")
    ranks = places(frame)
    frame.insert(0, "rank", ranks)
    return frame.sort_values(["rank", "parameters", "variant"], ignore_index=True)


def places(frame: pd.DataFrame) -> list[int]:
    """Rank of each row, 1 for the best: see the rule above. Rows whose KID is NaN come last."""
    left, ranks = frame.reset_index(drop=True), [0] * len(frame)
    while len(left):
        tied = leaders(left)
        for row in tied:
            ranks[row] = len(frame) - len(left) + 1
        left = left.drop(index=tied)
    return ranks


def leaders(frame: pd.DataFrame) -> list[int]:
    """The index of the rows that the rule cannot part from the best one."""
    left = frame[frame["kid"].notna()]
    if left.empty:
        return list(frame.index)
    shown = left[[_shows_faces(row) for row in left.to_dict("records")]]
    left = shown if len(shown) else left
    for name, sign in RULE.items():
        if name in left and left[name].notna().all():
            best = left.loc[(sign * left[name]).idxmax()]
            bound = best[f"{name}_low" if sign > 0 else f"{name}_high"]
            left = left[sign * left[name] >= sign * bound]
    return list(left.index)


def _shows_faces(row: Mapping[str, Any]) -> bool:
    """Whether faces are found on `FOUND_LEAST` of what is found on real images; or unknown."""
    found, real = row.get("found_high", math.nan), row.get("found_floor", math.nan)
    return not found < FOUND_LEAST * real


def _check_comparable(frame: pd.DataFrame) -> None:
    for name in ("evaluator", "data"):
        counts = frame[name].value_counts()
        if len(counts) > 1:
            odd = frame.loc[frame[name] != counts.index[0], "variant"].iloc[0]
            raise StageError(
                f"reports/metrics/{odd}.json was measured with another {name} than the rest, so "
                f"its numbers do not compare: dvc repro -f evaluate@{odd}"
            )


def checks(row: pd.Series) -> dict[str, int]:
    """What a useful translator must do, as 0 or 1, from a row of the leaderboard.

    A check passes only when the variant's whole 95 % interval is on the good side of the control's
    value. A check without a measurement (too few labelled images) is left out.
    """
    sides = {
        "beats_untrained": (row.get("kid_untrained"), row.get("kid_high")),
        "beats_copy": (row.get("kid_copy"), row.get("kid_high")),
        "shows_faces": (row.get("found_low"), row.get("found_copy")),
        "keeps_labels_better_than_shuffled": (row.get("kept_low"), row.get("kept_shuffled")),
    }
    return {
        name: int(more > less)
        for name, (more, less) in sides.items()
        if more is not None and less is not None and not math.isnan(more)
    }


def overview(board: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The few numbers worth a column in `dvc exp show`: data set sizes, and validation scores."""
    shown = ["rank", "kid", "kid_high", "kid_copy", "kid_floor", "found", "found_floor"]
    shown += ["kept", "kept_shuffled", "diversity", "told_apart", "evaluator", "data"]
    scores = {
        str(row["variant"]): {name: row[name] for name in shown if name in row}
        for row in board.to_dict("records")
    }
    split, dedupe = (_json(folder / f"{name}.json", name) for name in ("split", "dedupe"))
    sizes = {domain: sum(split[domain][s] for s in ("train", "val", "test")) for domain in split}
    return {**sizes, "duplicates_dropped": dedupe["dropped"], **scores}


def summary(board: pd.DataFrame) -> str:
    """The leaderboard as a few lines of plain text, with the winner and where to look next."""
    table = board[[c for c in SHOWN if c in board]].rename(columns=SHOWN)
    return (
        "Variants on validation (KID: lower is better; face found, kept: shares, more is better)\n"
        f"{table.to_string(index=False, float_format='%.3f')}\n"
        f"{verdict(board)}\n"
        "The page: reports/index.html    the runs: make ui"
    )


def verdict(board: pd.DataFrame) -> str:
    """Who won, or who is tied, in a sentence."""
    first = board.loc[board["rank"] == 1, "variant"].tolist()
    if len(first) == 1:
        return f"Winner: {first[0]}"
    return f"Tie: {' and '.join(first)}; {first[0]} is the simplest and goes on"


def _columns(block: Mapping[str, Any]) -> dict[str, float]:
    """Measures of one direction, their intervals and their controls as flat columns."""
    measures = {**block["quality"], **block.get("faces", {}), **block["agreement"]}
    heads = [block["agreement"][head] for head in KEPT if head in block["agreement"]]
    if heads:
        measures["kept"] = {name: _mean([h[name] for h in heads]) for name in heads[0]}
    columns: dict[str, float] = {}
    for name, sets in measures.items():
        told = sets["translated"]
        columns |= {name: told["value"], f"{name}_low": told["low"], f"{name}_high": told["high"]}
        columns |= {f"{name}_{x}": sets[x]["value"] for x in sets if x != "translated"}
    return columns


def _mean(estimates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of independent estimates; its interval's halves are those of a sum."""
    value = sum(e["value"] for e in estimates) / len(estimates)
    below = math.hypot(*(e["value"] - e["low"] for e in estimates)) / len(estimates)
    above = math.hypot(*(e["high"] - e["value"] for e in estimates)) / len(estimates)
    return {"value": value, "low": value - below, "high": value + above}


def _json(path: Path, stage_name: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StageError(f"{path} is missing or broken: dvc repro {stage_name}") from None

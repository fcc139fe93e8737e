"""Which variant is best, by one rule on validation.

Rule. First come the variants on whose translations faces are found (`FOUND_LEAST`), then the
others, then those without a KID. Within each of these, variants are compared in KID (lower is
better), then, where KID cannot part them, in how often a face is found, then in how much is kept of
the labels (`KEPT`): each time whoever is worse than the bound of the best one's 95 % interval is
out. Those left are tied, and the one with the fewest parameters is named first; then the rule is
asked anew of those that were out. A measure that some of them lack is passed over. Test numbers
take no part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.compare import measured
from pipeline.core import stage
from pipeline.core.errors import StageError

RULE = {"kid": -1, "found": 1, "kept": 1}  # in this order; 1: more is better
FOUND_LEAST = 0.5  # of the share of real images on which a face is found
KEPT = ("hair", "eyes", "smile", "glasses", "gender")  # labels whose mean is "kept"
SHOWN = {
    "place": "place",
    "variant": "variant",
    "parameters": "parameters",
    "kid": "KID",
    "kid_low": "from",
    "kid_high": "to",
    "kid_copy": "(copy)",
    "found": "faces",
    "found_floor": "(real)",
    "kept": "kept",
    "kept_shuffled": "(chance)",
}

# Of a variant, in `dvc exp show`: what ranks, and by chance.
TOLD = ("kid", "kid_copy", "found", "found_copy", "kept", "kept_shuffled")

Metrics = Mapping[str, Any]  # what pipeline.evaluate writes for one variant


def read_metrics(variants: list[str], folder: Path = stage.METRICS) -> dict[str, Metrics]:
    """Metrics by variant, in the order given. Raises StageError when a file is absent or broken."""
    return {name: measured.variant(folder, name) for name in variants}


def leaderboard(metrics: Mapping[str, Metrics], direction: str) -> pd.DataFrame:
    """One row a variant, ranked: validation numbers of ``direction``, controls beside them.

    Columns: rank (1 is best; tied variants have the same), variant, parameters, evaluator, data,
    then those of `columns`, then cycle_l1.

    Raises:
        StageError: no variant has a finite KID; a file lacks what `pipeline.evaluate` writes, or
            was measured by another evaluator or on other data than the rest.
    """
    kept = common_heads(metrics, direction)
    rows = []
    for variant, values in metrics.items():
        try:
            block = values["val"][direction]
            row = {"variant": variant, "parameters": values["parameters"], **values["comparable"]}
            rows.append({**row, **columns(block, kept), "cycle_l1": block["cycle_l1"]})
        except (KeyError, TypeError) as error:
            raise StageError(
                f"reports/metrics/{variant}.json lacks {error}: dvc repro -f evaluate@{variant}"
            ) from None
    frame = pd.DataFrame(rows)
    _check_comparable(frame)
    if not frame["kid"].notna().any():
        raise StageError("no variant has a finite KID: lower train.lr and train again")
    frame.insert(0, "rank", ranks(frame))
    return frame.sort_values(["rank", "parameters", "variant"], ignore_index=True)


def ranks(frame: pd.DataFrame) -> list[int]:
    """Rank of each row by the rule above: 1 is best, and tied rows have the same."""
    left, found = frame.reset_index(drop=True), [0] * len(frame)
    while len(left):
        tied = leaders(left)
        for row in tied:
            found[row] = len(frame) - len(left) + 1
        left = left.drop(index=tied)
    return found


def leaders(frame: pd.DataFrame) -> list[int]:
    """The index of the rows that the rule cannot part from the best one; never empty."""
    left = frame[frame["kid"].notna()]
    if left.empty:
        return list(frame.index)
    shown = left[[shows_faces(row) for row in left.to_dict("records")]]
    left = shown if len(shown) else left
    for name, sign in RULE.items():
        if name in left and left[name].notna().all():
            values = sign * left[name]
            bound = sign * left[f"{name}_{'low' if sign > 0 else 'high'}"]
            best = values.idxmax()
            left = left[values >= np.fmin(values[best], bound[best])]  # no bound: equal values tie
    return list(left.index)


def shows_faces(row: Mapping[str, Any]) -> bool:
    """Whether faces may be found on `FOUND_LEAST` of what is found on real images; or unknown."""
    found, real = row.get("found_high", math.nan), row.get("found_floor", math.nan)
    return not found < FOUND_LEAST * real


def _check_comparable(frame: pd.DataFrame) -> None:
    for name in ("evaluator", "data"):
        firsts = frame.drop_duplicates(name)
        if len(firsts) > 1:
            a, b = firsts["variant"].iloc[:2]
            raise StageError(
                f"{a} and {b} were measured with another {name} each ({firsts[name].iloc[0]} and "
                f"{firsts[name].iloc[1]}), so that they do not compare: dvc repro -f evaluate"
            )


def checks(row: Mapping[str, Any]) -> dict[str, int]:
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
    """What `dvc exp show` has columns for: sizes of the data, and `TOLD` of each variant."""
    scores = {
        str(row["variant"]): {name: row[name] for name in TOLD if name in row}
        for row in board.to_dict("records")
    }
    split, dropped = measured.sizes(folder)
    sizes = {domain: sum(split[domain][s] for s in ("train", "val", "test")) for domain in split}
    same = {name: board[name].iloc[0] for name in ("evaluator", "data")}  # of all variants
    winner = {"winner": str(board["variant"].iloc[0])}
    return {**sizes, "duplicates_dropped": dropped, **same, **winner, **scores}


def summary(board: pd.DataFrame) -> str:
    """The leaderboard as a few lines of plain text, with the winner and where to look next."""
    told = board.assign(place=places(board))
    table = told[[name for name in SHOWN if name in told]].rename(columns=SHOWN)
    return (
        "Variants on validation (KID: lower is better; shares: more is better)\n"
        f"{table.to_string(index=False, float_format='%.3f')}\n"
        f"{verdict(board)}\n"
        "The page: reports/index.html    the runs: make ui"
    )


def places(board: pd.DataFrame) -> list[str]:
    """Each row's rank in words, such as ``1, tie``."""
    words = []
    for row in board.to_dict("records"):
        note = ""
        if math.isnan(row["kid"]):
            note = ", no KID"
        elif not shows_faces(row):
            note = ", few faces"
        elif (board["rank"] == row["rank"]).sum() > 1:
            note = ", tie"
        words.append(f"{row['rank']}{note}")
    return words


def verdict(board: pd.DataFrame) -> str:
    """Who won, or who is tied, in a sentence."""
    first = board.loc[board["rank"] == 1, "variant"].tolist()
    if len(first) == 1:
        few = "" if shows_faces(board.iloc[0]) else ", though too few of its pictures show a face"
        return f"Winner: {first[0]}{few}"
    return f"Tie: {' and '.join(first)}; {first[0]} is the simplest and goes on"


def common_heads(metrics: Mapping[str, Metrics], direction: str) -> list[str]:
    """Those of `KEPT` that every variant was measured for: only so do their means compare."""
    blocks = [values.get("val", {}).get(direction, {}) for values in metrics.values()]
    return [head for head in KEPT if all(head in b.get("agreement", {}) for b in blocks)]


def heads(board: pd.DataFrame) -> list[str]:
    """The attributes whose keeping a leaderboard tells: only they have both these controls."""
    names = {*map(str, board)} - {"kept"}
    return [n for n in map(str, board) if {n, f"{n}_copy", f"{n}_shuffled"} <= names]


def columns(block: Mapping[str, Any], kept: Sequence[str] = KEPT) -> dict[str, float]:
    """One direction's measures as NAME, NAME_low, NAME_high (95 %), its controls as NAME_CONTROL.

    ``kept`` there is the mean of the labels named by the argument, as far as they were measured.

    Raises:
        KeyError: there is no KID.
    """
    measures = {**block["quality"], **block.get("faces", {}), **block["agreement"]}
    mean_of = [block["agreement"][head] for head in kept if head in block["agreement"]]
    if mean_of:
        measures["kept"] = {name: _mean([head[name] for head in mean_of]) for name in mean_of[0]}
    flat = {"kid": measures["kid"]["translated"]["value"]}
    for name, sets in measures.items():
        for kind, estimate in sets.items():
            key = name if kind == "translated" else f"{name}_{kind}"
            flat[key] = estimate["value"]
            if kind == "translated":
                flat |= {f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}
    return flat


def _mean(estimates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of estimates, taken as independent: squares of its interval's halves add up."""
    value = sum(e["value"] for e in estimates) / len(estimates)
    below = math.hypot(*(e["value"] - e["low"] for e in estimates)) / len(estimates)
    above = math.hypot(*(e["high"] - e["value"] for e in estimates)) / len(estimates)
    return {"value": value, "low": value - below, "high": value + above}

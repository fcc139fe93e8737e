"""Metrics of variants as `pipeline.evaluate` writes them, with numbers that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.compare import ranking

DIRECTION = "photos2anime"


def estimate(value: float, half: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half, "n_real": 90, "n_fake": 80}


def metrics(
    kid: float,
    *,
    half: float = 0.05,
    found: float | None = 0.9,
    kept: float = 0.8,
    heads: Sequence[str] = ("hair", "smile"),
    parameters: int = 100,
    **comparable: str,
) -> dict:
    """One variant, equal in both splits and directions.

    Without ``found`` no face was looked for. Each head's half interval is 0.05.
    """
    controls = {"untrained": estimate(9.0), "copy": estimate(4.0), "floor": estimate(0.0, 0.01)}
    apart = {"translated": estimate(0.7), "copy": estimate(1.0), "floor": estimate(0.5)}
    quality = {"kid": {"translated": estimate(kid, half), **controls}, "told_apart": apart}
    judged = {"translated": estimate(kept), "copy": estimate(0.9), "shuffled": estimate(0.25)}
    block = {"quality": quality, "agreement": dict.fromkeys(heads, judged), "cycle_l1": 0.1}
    if found is not None:
        seen = {"translated": estimate(found), "copy": estimate(0.1), "floor": estimate(0.96)}
        turn = {"translated": estimate(0.4), "shuffled": {"value": 0.0}}
        block["faces"] = {"found": seen, "yaw_kept": turn}
    split = {DIRECTION: block, "anime2photos": block}
    named = {"evaluator": "lite1:abc", "data": "0123", **comparable}
    made = {"parameters": parameters, "comparable": named, "val": split, "test": split}
    return json.loads(json.dumps(made))  # nothing shared: a test may change one part


def board(variants: Mapping[str, dict]) -> pd.DataFrame:
    return ranking.leaderboard(variants, DIRECTION)

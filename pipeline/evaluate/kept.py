"""Does a translation keep pose and expression? Source and translation compared, beside chance."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from models.metrics.estimate import TAIL

MIN_FACES = 20  # fewer pairs say nothing: the interval of chance alone is then about ±.45
DRAWS = 1000
ALIGNED = ("tilt",)  # the same for all faces aligned on their eyes: what is left of it is error


class Kept(TypedDict):
    """A rank correlation over ``n`` pairs with its 95 % interval, and what chance gives."""

    value: float
    low: float
    high: float
    n: int
    shuffled: float  # with a random partner each time: the mean, and …
    shuffled_low: float  # … the middle 95 % of such shuffles
    shuffled_high: float


def correlations(
    source: pd.DataFrame, target: pd.DataFrame, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Kept | None]:
    """Spearman's rank correlation of each measure that both tables have.

    Args:
        source, target: row i of one is row i of the other translated; NaN where no face was found.
        draws: bootstrap samples of pairs behind an interval, and shuffles.

    Returns:
        Measure → correlation, in [-1, 1]; None with fewer than `MIN_FACES` pairs or no variance.
    """
    names = [name for name in source if name in target and name not in ALIGNED]
    return {
        name: _correlation(source[name].to_numpy(), target[name].to_numpy(), draws, seed)
        for name in names
    }


def _correlation(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> Kept | None:
    both = np.isfinite(x) & np.isfinite(y)
    x, y, n = x[both], y[both], int(both.sum())
    if n < MIN_FACES or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    rng = np.random.default_rng([seed, n])
    rows = rng.integers(n, size=(draws, n))
    sample = _spearman(x[rows], y[rows])
    shuffles = rng.permuted(np.tile(y, (draws, 1)), axis=1)
    chance = _spearman(np.tile(x, (draws, 1)), shuffles)
    value = float(_spearman(x[None], y[None])[0])
    low, high = map(float, np.nanpercentile(sample, [TAIL, 100 - TAIL]))
    shuffled_low, shuffled_high = map(float, np.percentile(chance, [TAIL, 100 - TAIL]))
    return Kept(
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=n,
        shuffled=float(chance.mean()),
        shuffled_low=shuffled_low,
        shuffled_high=shuffled_high,
    )


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each row of [D, N]; NaN where a row does not vary."""
    a, b = (rankdata(values, axis=1) for values in (x, y))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))

"""Shares of images, with the interval of a share."""

from __future__ import annotations

from scipy import stats

from models.metrics.estimate import TAIL


def share(found: int, n: int) -> tuple[float, float, float]:
    """``found`` of ``n`` and the 95 % interval of that share in [0, 1].

    Jeffreys' interval (Brown, Cai & DasGupta 2001), which does not claim certainty for three of
    three.
    """
    low, high = stats.beta.ppf([TAIL / 100, 1 - TAIL / 100], found + 0.5, n - found + 0.5)
    return found / n, min(float(low), found / n), max(float(high), found / n)

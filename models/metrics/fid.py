"""Fréchet Inception Distance without its bias: extrapolated to infinitely many images."""

from __future__ import annotations

import numpy as np
from scipy import stats

from models.metrics.estimate import TAIL, Estimate, check_features

SIZES = 12  # subsets that the line is fitted to
MOST = 1_000  # images of either side: the time grows with the cube


def fid(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> Estimate:
    """FID∞ between float features ``real`` [M, D] and ``fake`` [N, D].

    The plain FID of n images is too large by about c/n with a c that depends on the model, so that
    two values of different n, or of different models, do not compare (Chong & Forsyth, *Effectively
    unbiased FID*, 2020, arXiv:1911.07023). As there, FID of random subsets of several sizes is
    fitted by a line in 1/n, and its value at 0 is taken; the interval is that of the line's value.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    check_features(real, fake)
    x, y = real[:MOST].astype(np.float64), fake[:MOST].astype(np.float64)
    rng = np.random.default_rng([seed, len(x), len(y)])
    share = np.linspace(0.4, 1, SIZES)
    rows = [(max(2, round(f * len(x))), max(2, round(f * len(y)))) for f in share]
    values = [
        frechet(rng.permutation(x)[:m], rng.permutation(y)[:n])  # without replacement
        for m, n in rows
    ]
    line = stats.linregress([1 / m + 1 / n for m, n in rows], values)
    half = stats.t.ppf(1 - TAIL / 100, SIZES - 2) * line.intercept_stderr
    value = float(line.intercept)
    return Estimate(value, value - half, value + half, len(x), len(y))


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) of the Gaussians fitted to [M, D] and [N, D].

    Heusel et al., 2017 (arXiv:1706.08500), equation 6. With centred samples A and B,
    tr(Σ₁Σ₂)^½ is the sum of the singular values of ABᵀ/√((M-1)(N-1)), which A's and B's triangles
    have as well, and those are the roots of the eigenvalues of its square: no root of a matrix that
    is singular when there are fewer images than features.
    """
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    cross = _triangle(a) @ _triangle(b).T / np.sqrt((len(a) - 1) * (len(b) - 1))
    root = np.sqrt(np.linalg.eigvalsh(cross @ cross.T).clip(min=0)).sum()
    spread = (a**2).sum() / (len(a) - 1) + (b**2).sum() / (len(b) - 1)
    return float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + spread - 2 * root)


def _triangle(a: np.ndarray) -> np.ndarray:
    """R of A = QR where A has more rows than columns, else A itself: AᵀA = RᵀR."""
    return np.asarray(np.linalg.qr(a, mode="r")) if len(a) > a.shape[1] else a

"""Kernel Inception Distance: how far two sets of images are apart in a feature space.

Bińkowski et al., *Demystifying MMD GANs*, 2018 (arXiv:1801.01401), section 4. Values compare with
values of the same feature space only: read them beside their controls. They are plain KID, in the
squared units of the kernel: nothing is multiplied by 100 or 1000.
"""

from __future__ import annotations

import numpy as np

from models.metrics.estimate import Estimate, bootstrap, check_features, mean_of_pairs


def kid(real: np.ndarray, fake: np.ndarray, *, draws: int = 1000, seed: int = 0) -> Estimate:
    """Unbiased KID between float features ``real`` [M, D] and ``fake`` [N, D].

    MMD²ᵤ = Σ_{i≠j} k(xᵢ,xⱼ)/(M(M-1)) + Σ_{i≠j} k(yᵢ,yⱼ)/(N(N-1)) - 2 Σ k(xᵢ,yⱼ)/(MN) with
    k(x,y) = (x·y/D + 1)³, equation 4 of the paper; its expectation is 0 for equal distributions,
    whatever M and N, so a value may be slightly negative. All images take part at once, where the
    paper averages over subsets. The interval is of ``draws`` bootstrap samples of the images; NaN
    without draws.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    check_features(real, fake)
    x, y = real.astype(np.float64), fake.astype(np.float64)
    kernels = kernel(x, x), kernel(y, y), kernel(x, y)
    return bootstrap(lambda u, v: _mmd(*kernels, u, v), len(x), len(y), draws=draws, seed=seed)


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x·y/D + 1)³ of each pair: [M, D], [N, D] → [M, N]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mmd(
    k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """MMD² [B] for weights ``u`` [B, M] and ``v`` [B, N]."""
    cross = np.einsum("bi,bi->b", u @ k_xy, v) / (u.sum(axis=1) * v.sum(axis=1))
    return mean_of_pairs(k_xx, u) + mean_of_pairs(k_yy, v) - 2 * cross

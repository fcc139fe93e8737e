"""Kernel Inception Distance: how far two sets of images are apart in a feature space.

Bińkowski et al., *Demystifying MMD GANs*, 2018 (arXiv:1801.01401), section 4. The features here
are those of the evaluation recognizer, not Inception's, so that values compare only with values
of the same data set and recognizer: read them beside their controls. Values are plain KID, in the
squared units of the kernel: nothing is multiplied by 100 or 1000.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from models.errors import ModelError
from models.metrics.sizes import MIN_IMAGES

TAIL = 2.5  # per cent cut off at either end: 95 % intervals
# Standard deviations: 99.99 % of what real faces do to a feature lies within 8.4. The cubic kernel
# gave one translation that woke up an all but silent feature more weight than 150 others: KID
# 31,507 with an interval from 0.8 to 190,426.
LARGEST = 10.0
CHUNK = 250  # bootstrap draws whose weights are held in memory at once


@dataclass(frozen=True)
class Estimate:
    """KID with its 95 % interval and the sample sizes it rests on."""

    value: float
    low: float
    high: float
    n_real: int
    n_fake: int

    def as_dict(self) -> dict[str, float]:
        """The fields as a plain mapping, as metrics files hold them."""
        return asdict(self)


@dataclass(frozen=True)
class Standardiser:
    """Shift and scale of each feature, fixed once on real training images of both domains.

    The kernel (x·y/d + 1)³ is not scale-free: with raw features the value would follow the
    recognizer's arbitrary scale. Both domains take part, because a feature that is silent in the
    target alone would otherwise be divided by almost nothing and decide the value by itself.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, *domains: np.ndarray) -> Standardiser:
        """From float features [N, D] per domain, each domain weighing the same."""
        mean = np.mean([features.mean(axis=0) for features in domains], axis=0)
        square = np.mean([((features - mean) ** 2).mean(axis=0) for features in domains], axis=0)
        std = np.sqrt(square)
        return cls(mean, np.where(std > 1e-6 * std.max(), std, np.inf))  # a dead feature gives 0

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Standardised float64 features [N, D], at most `LARGEST` either way."""
        return np.clip((features.astype(np.float64) - self.mean) / self.std, -LARGEST, LARGEST)


def kid(real: np.ndarray, fake: np.ndarray, *, draws: int = 1000, seed: int = 0) -> Estimate:
    """Unbiased KID between float features ``real`` [M, D] and ``fake`` [N, D].

    MMD²ᵤ = Σ_{i≠j} k(xᵢ,xⱼ)/(M(M-1)) + Σ_{i≠j} k(yᵢ,yⱼ)/(N(N-1)) - 2 Σ k(xᵢ,yⱼ)/(MN) with
    k(x,y) = (x·y/D + 1)³, equation 4 of the paper; its expectation is 0 for equal distributions,
    whatever M and N, so a value may be slightly negative. The interval is the 2.5th to 97.5th
    percentile over ``draws`` bootstrap samples of the images (see `bootstrap`); NaN without draws.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    _check(real, fake)
    x, y = real.astype(np.float64), fake.astype(np.float64)
    k_xx, k_yy, k_xy = kernel(x, x), kernel(y, y), kernel(x, y)
    each_once = np.ones((1, len(real))), np.ones((1, len(fake)))
    value = float(_weighted_mmd(k_xx, k_yy, k_xy, *each_once)[0])
    low = high = np.nan
    if draws:
        sample = bootstrap(k_xx, k_yy, k_xy, draws=draws, seed=seed)
        low, high = np.percentile(sample, [TAIL, 100 - TAIL])
    return Estimate(value, float(low), float(high), len(real), len(fake))


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x·y/D + 1)³ of each pair: [M, D], [N, D] → [M, N]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def bootstrap(
    k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray, *, draws: int, seed: int
) -> np.ndarray:
    """MMD² [draws] of images drawn again with replacement, from kernels [M,M], [N,N], [M,N].

    A drawn image is a multinomial weight on the kernel matrices, so that kernels are computed
    once. An image drawn twice is never paired with itself: k(x,x) is large and would raise every
    draw above the estimate.
    """
    rng = np.random.default_rng([seed, len(k_xx), len(k_yy)])
    values = []
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        u, v = (rng.multinomial(n, np.full(n, 1 / n), size) for n in k_xy.shape)
        values.append(_weighted_mmd(k_xx, k_yy, k_xy, u.astype(float), v.astype(float)))
    return np.concatenate(values)


def _weighted_mmd(
    k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """MMD² [B] for weights ``u`` [B, M] and ``v`` [B, N]; pairs of an image with itself are out."""
    cross = np.einsum("bi,bi->b", u @ k_xy, v) / (u.sum(axis=1) * v.sum(axis=1))
    return _within(k_xx, u) + _within(k_yy, v) - 2 * cross


def _within(kernel: np.ndarray, w: np.ndarray) -> np.ndarray:
    square = w**2
    pairs = np.einsum("bi,bi->b", w @ kernel, w) - square @ np.diag(kernel)
    return pairs / (w.sum(axis=1) ** 2 - square.sum(axis=1))


def _check(real: np.ndarray, fake: np.ndarray) -> None:
    for name, features in (("real", real), ("translated", fake)):
        if len(features) < MIN_IMAGES:
            raise ModelError(
                f"KID needs at least {MIN_IMAGES} {name} images, there are {len(features)}: "
                "raise split.val and split.test, or gather more images"
            )
        if not np.isfinite(features).all():
            raise ModelError(
                f"features of the {name} images are not all finite: train the recognizer, "
                "or the variant, again with a lower learning rate"
            )

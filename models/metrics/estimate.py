"""A number with its interval, and how images are drawn again for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from models.errors import ModelError
from models.metrics.sizes import MIN_IMAGES

TAIL = 2.5  # per cent cut off at either end: 95 % intervals
CHUNK = 250  # draws whose weights are held in memory at once


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval (NaN where none was asked for), and the images it rests on."""

    value: float
    low: float
    high: float
    n_real: int
    n_fake: int

    @classmethod
    def of(cls, value: float, sample: np.ndarray, n_real: int, n_fake: int) -> Estimate:
        """``value`` with the middle 95 % of ``sample``, widened to contain it."""
        low, high = np.percentile(sample, [TAIL, 100 - TAIL]) if len(sample) else (np.nan, np.nan)
        value = float(value)
        return cls(value, float(np.fmin(low, value)), float(np.fmax(high, value)), n_real, n_fake)

    def as_dict(self) -> dict[str, float]:
        """The fields as a plain mapping, as metrics files hold them."""
        return asdict(self)


def bootstrap(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    n_real: int,
    n_fake: int,
    *,
    draws: int,
    seed: int,
) -> Estimate:
    """A statistic of all images, with the interval of ``draws`` bootstrap samples of them.

    ``statistic`` takes weights [B, ``n_real``] and [B, ``n_fake``] and gives [B]: a weight is how
    often an image was drawn with replacement, so that what is costly is computed once.
    """
    value = statistic(np.ones((1, n_real)), np.ones((1, n_fake)))[0]
    rng = np.random.default_rng([seed, n_real, n_fake])
    sample = [np.empty(0)]
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        u, v = (rng.multinomial(n, np.full(n, 1 / n), rows) for n in (n_real, n_fake))
        sample.append(statistic(u.astype(float), v.astype(float)))
    return Estimate.of(value, np.concatenate(sample), n_real, n_fake)


def mean_of_pairs(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean [B] of a symmetric matrix [N, N] over pairs of two images, by weights [B, N].

    An image drawn twice is never paired with itself: that pair is unlike any other.
    """
    square = weights**2
    pairs = np.einsum("bi,bi->b", weights @ values, weights) - square @ np.diag(values)
    return pairs / (weights.sum(axis=1) ** 2 - square.sum(axis=1))


def check_features(real: np.ndarray, fake: np.ndarray) -> None:
    """Raise ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN."""
    for name, features in (("real", real), ("translated", fake)):
        if len(features) < MIN_IMAGES:
            raise ModelError(
                f"distances need at least {MIN_IMAGES} {name} images, there are {len(features)}: "
                "raise split.val and split.test, or gather more images"
            )
        if not np.isfinite(features).all():
            raise ModelError(
                f"features of the {name} images are not all finite: train the variant again with "
                "a lower learning rate"
            )

"""Do translations differ from each other, and from the images that were learned?"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from models.metrics.estimate import Estimate, bootstrap, check_features, mean_of_pairs
from models.metrics.shares import share

NEAR = 5.0  # per cent of real held-out images that count as near to a training image


def diversity(real: np.ndarray, fake: np.ndarray, *, draws: int = 1000, seed: int = 0) -> Estimate:
    """Mean distance of two of ``fake`` [N, D], in that of two of ``real`` [M, D].

    1: as various as real images; 0: all alike (mode collapse). The interval is of ``draws``
    bootstrap samples of the images.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    check_features(real, fake)
    apart = [cdist(x, x) for x in (real, fake)]
    return bootstrap(
        lambda u, v: mean_of_pairs(apart[1], v) / mean_of_pairs(apart[0], u),
        len(real),
        len(fake),
        draws=draws,
        seed=seed,
    )


def memorised(known: np.ndarray, real: np.ndarray, fake: np.ndarray) -> Estimate:
    """Share of ``fake`` [N, D] that lie suspiciously near to a training image ``known`` [K, D].

    Near is what only `NEAR` per cent of the held-out ``real`` [M, D] are, so that 0.05 is what
    images that were never seen get, and 1 what copies get (the nearest-neighbour test of Meehan
    et al., 2020, arXiv:2004.05675, read at one threshold). Jeffreys' interval.

    Raises ModelError when either side has fewer than `MIN_IMAGES` images or holds a NaN.
    """
    check_features(real, fake)
    near = np.percentile(nearest(real, known), NEAR)
    found = int((nearest(fake, known) <= near).sum())
    return Estimate(*share(found, len(fake)), len(real), len(fake))


def nearest(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Euclidean distance [N] of each of ``images`` [N, D] to the nearest of ``known`` [K, D]."""
    return cdist(images, known).min(axis=1)

"""The metrics of a set of translations beside real images, under the names that reports use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from models.metrics.estimate import Estimate
from models.metrics.fid import fid
from models.metrics.kid import kid
from models.metrics.two_sample import two_sample
from models.metrics.variety import diversity, memorised


@dataclass(frozen=True)
class Sets:
    """Features of what is compared, float [N, D]; all from one space and one processing."""

    real: np.ndarray  # held-out images of the target
    fake: np.ndarray  # translations
    known: np.ndarray  # training images of the target
    draws: int  # bootstrap samples behind each interval
    seed: int


METRICS: dict[str, Callable[[Sets], Estimate]] = {
    "kid": lambda s: kid(s.real, s.fake, draws=s.draws, seed=s.seed),
    "fid": lambda s: fid(s.real, s.fake, seed=s.seed),
    "told_apart": lambda s: two_sample(s.real, s.fake, draws=s.draws, seed=s.seed),
    "diversity": lambda s: diversity(s.real, s.fake, draws=s.draws, seed=s.seed),
    "memorised": lambda s: memorised(s.known, s.real, s.fake),
}
DISTANCES = ("kid", "fid")  # what is told in further feature spaces


def measure(sets: Sets, names: Iterable[str] = METRICS) -> dict[str, dict[str, float]]:
    """Metric → `Estimate` as a mapping. Raises ModelError where there are too few images."""
    return {name: METRICS[name](sets).as_dict() for name in names}

"""Attribute agreement: does a translation keep what the source's label says?

Two tell, so that neither can be fooled alone: the evaluator, a network, and a colour rule without
any training by gradient, that reads hair colour off the pixels above the eyes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from models.metrics.estimate import TAIL
from pipeline.imaging.attributes import UNKNOWN
from pipeline.imaging.colours import to_lab

MIN_PER_CLASS = 5  # fewer examples of a class measure nothing
# Where most pixels are hair when both eyes sit on the template. Fractions of the side: top, bottom,
# left, right. Of five boxes the best on drawn and on real faces of both domains.
HAIR_BOX = (0.0, 0.3, 0.2, 0.8)


@dataclass(frozen=True)
class Agreement:
    """Balanced agreement in [0, 1] with its 95 % interval, over ``n`` images of ``classes``."""

    value: float
    low: float
    high: float
    n: int
    classes: int

    def as_dict(self) -> dict[str, float]:
        """The fields as a plain mapping, as metrics files hold them."""
        return asdict(self)


def common_classes(source: np.ndarray, target: np.ndarray) -> list[str]:
    """Labels that both arrays of strings hold at least `MIN_PER_CLASS` times, ``unknown`` apart.

    Nobody can keep blue hair in a domain that has none: such classes are left out.
    """
    counts = [Counter(map(str, side)) for side in (source, target)]
    shared = set(counts[0]) & set(counts[1]) - {UNKNOWN}
    return sorted(name for name in shared if min(c[name] for c in counts) >= MIN_PER_CLASS)


def balanced_agreement(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: list[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Agreement | None:
    """Mean over ``classes`` of the share of images of that label [N] predicted [N] as that label.

    Balanced, so that always answering the commonest class scores only 1/len(classes); a prediction
    outside ``classes`` counts as wrong. The interval holds the middle 95 % of ``draws`` from the
    posterior of the balanced accuracy (Brodersen et al. 2010, *The balanced accuracy and its
    posterior distribution*, with Jeffreys' prior), widened to contain the value. A plain bootstrap
    would claim certainty for a class of which three images out of three are right.

    Returns:
        None when fewer than two of ``classes`` occur in ``labels``.
    """
    present = [name for name in classes if (labels == name).any()]
    if len(present) < 2:
        return None
    totals = np.array([(labels == name).sum() for name in present])
    right = np.array([((labels == name) & (predictions == name)).sum() for name in present])
    rng = np.random.default_rng([seed, len(labels)])
    sample = rng.beta(right + 0.5, totals - right + 0.5, (draws, len(present))).mean(axis=1)
    value = float((right / totals).mean())
    low, high = np.percentile(sample, [TAIL, 100 - TAIL])
    n = int(totals.sum())
    return Agreement(value, min(float(low), value), max(float(high), value), n, len(present))


def hair_lab(images: np.ndarray) -> np.ndarray:
    """Median CIE L*a*b* colour [N, 3] of the hair region of RGB uint8 images [N, 3, S, S].

    L* in 0–100, a* and b* in about ±127. The region is `HAIR_BOX`, fixed by the eye template.
    """
    top, bottom, left, right = (round(f * images.shape[-1]) for f in HAIR_BOX)
    region = to_lab(images[:, :, top:bottom, left:right].transpose(0, 2, 3, 1))
    return np.median(region.reshape(len(region), -1, 3), axis=1).astype(np.float32)


class ColourRule:
    """Hair colour without a network: the class whose mean Lab colour in real images is nearest."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: list[str]) -> None:
        """Class colours from real target images uint8 [N, 3, S, S] and their labels [N]."""
        colours = hair_lab(images)
        self.classes = np.array(classes)
        self.centres = np.array([np.median(colours[labels == name], axis=0) for name in classes])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Label [N] of each image uint8 [N, 3, S, S]: least ΔE (CIE76) to a class colour."""
        distance = np.linalg.norm(hair_lab(images)[:, None] - self.centres[None], axis=2)
        return self.classes[distance.argmin(axis=1)]

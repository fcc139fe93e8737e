"""What a translator in training is measured by, on images that it never trains on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from torch import Tensor

from models.checkpoint import Translator
from models.data.domain import Domain
from models.domains import DIRECTIONS, DOMAINS
from models.errors import ModelError
from models.metrics.features import FeatureSpace, ranking_space
from models.metrics.kid import kid
from models.metrics.sizes import CURVE_IMAGES, MIN_IMAGES

Features = Callable[[Tensor], np.ndarray]  # uint8 [N, 3, S, S] → float [N, D]


class HeldOut:
    """Measures translators on the same held-out images (photos, anime), again and again.

    Without features, or with fewer images than KID takes, only the cycle error is measured.
    """

    def __init__(self, held_out: tuple[Domain, Domain], features: Features | None = None) -> None:
        some = [d.take(range(min(CURVE_IMAGES, len(d)))) for d in held_out]
        self.domains = dict(zip(DOMAINS, some, strict=True))
        self.features = features if min(map(len, some)) >= MIN_IMAGES else None
        if self.features:
            self.real = {name: self.features(d.images) for name, d in self.domains.items()}

    def measure(self, translator: Translator) -> dict[str, float]:
        """`kid_DIRECTION` to the target's images (`kid`), and `cycle_l1_DOMAIN`: mean
        absolute difference between an image and its way there and back, in [0, 1]."""
        result: dict[str, float] = {}
        for direction, (source, target) in DIRECTIONS.items():
            images, labels = self.domains[source].images, self.domains[source].labels
            there = translator.translate(images, direction, labels)
            back = translator.translate(there, f"{target}2{source}", labels)
            if self.features:
                estimate = kid(self.real[target], self.features(there), draws=0)
                result[f"kid_{direction}"] = estimate.value
            result[f"cycle_l1_{source}"] = l1(translator.seen(images, source), back)
        return result


def features_if_here(device: str) -> FeatureSpace | None:
    """What ranks; None, with a line on standard error, where its weights are not here."""
    try:
        return ranking_space(device)
    except ModelError as error:
        print(f"KID of held-out images is not measured: {error}", file=sys.stderr, flush=True)
        return None


def l1(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of two uint8 batches, in [0, 1]."""
    return float((a.float() - b.float()).abs().mean() / 255)

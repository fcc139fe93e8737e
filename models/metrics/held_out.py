"""What a translator in training is measured by, on images that it never trains on."""

from __future__ import annotations

from torch import Tensor

from models.checkpoint import Translator
from models.data.domain import Domain, StreamedDomain
from models.domains import DIRECTIONS, DOMAINS
from models.metrics.features import FeatureSpace
from models.metrics.kid import kid
from models.metrics.sizes import MIN_IMAGES, MOST_IMAGES
from models.recognizer.network import Recognizer


class HeldOut:
    """Measures translators on the same held-out images, again and again.

    `held_out` and `train` are (photos, anime). `evaluator`, a recognizer that no loss asks, gives
    the features of KID, whose scales are those of the training images; without one, or with fewer
    images than KID takes, only the cycle error is measured.
    """

    def __init__(
        self,
        held_out: tuple[Domain, Domain],
        train: tuple[Domain | StreamedDomain, Domain | StreamedDomain],
        evaluator: Recognizer | None = None,
    ) -> None:
        some = [d.take(range(min(MOST_IMAGES, len(d)))) for d in held_out]
        self.domains = dict(zip(DOMAINS, some, strict=True))
        self.features: FeatureSpace | None = None
        if evaluator and min(map(len, some)) >= MIN_IMAGES:
            seen = [d.take(range(min(MOST_IMAGES, len(d)))).images for d in train]
            self.features = FeatureSpace(evaluator, *seen)
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
            result[f"cycle_l1_{source}"] = l1(images, back)
        return result


def l1(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of two uint8 batches, in [0, 1]."""
    return float((a.float() - b.float()).abs().mean() / 255)

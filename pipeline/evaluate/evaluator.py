"""The evaluator: a recognizer trained apart, with its features, its labels and a colour rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from models.data.domain import Domain
from models.domains import DIRECTIONS
from models.metrics.features import (
    FeatureSpace,
    fit_size,
    further_space,
    inception_space,
    ranking_space,
)
from models.metrics.quality import DISTANCES, METRICS, Sets, measure
from models.recognizer.network import Recognizer
from models.recognizer.training import load_recognizer
from models.runtime.files import replacing
from pipeline.core import params, stage
from pipeline.evaluate.agreement import ColourRule, balanced_agreement, common_classes
from pipeline.imaging.attributes import UNKNOWN

DRAWN = ("translated", "untrained")  # sets that are another with each variant
COLOUR_RULE = "hair_by_colour"  # the hair colour again, told by `ColourRule` instead of a network


class Evaluator:
    """Scores images against real ones; fixed once by real training images, then never changed."""

    def __init__(
        self,
        recognizer: Recognizer,
        spaces: Sequence[FeatureSpace],
        train: Mapping[str, Domain],
        settings: params.Evaluate,
    ) -> None:
        """``spaces``: the first one ranks. ``train``: real images by domain."""
        self.recognizer, self.spaces, self.settings, self.train = (
            recognizer,
            spaces,
            settings,
            train,
        )

    @classmethod
    def load(
        cls, folder: Path, train: Mapping[str, Domain], settings: params.Evaluate, device: str
    ) -> Evaluator:
        """From a recognizer's folder. Raises ModelError when weights are missing."""
        spaces = [ranking_space(device), inception_space(device)]
        spaces += [further_space(path, device) for path in settings.further_features]
        here = [space for space in spaces if space]
        return cls(load_recognizer(folder, device=device), here, train, settings)

    @property
    def name(self) -> str:
        """Which weights the numbers come from: of the features that rank, and of the labels."""
        return f"{self.spaces[0].name} recognizer:{self.recognizer.fingerprint()[:8]}"

    def quality(
        self, domain: str, real: Tensor, images: Mapping[str, Tensor]
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Metric → set → `Estimate`: uint8 ``images`` beside ``real`` ones of ``domain``.

        Of the untrained network only KID: the other numbers would say no more. Distances in further
        spaces stand under METRIC_SPACE. Raises ModelError where there are too few images.
        """
        result: dict[str, dict[str, dict[str, float]]] = {}
        for space in self.spaces:
            ranks = space is self.spaces[0]
            target = remembered(space, real)
            known = remembered(space, self.train[domain].images) if ranks else target[:0]
            for name, fakes in images.items():
                seen = space(fakes) if name in DRAWN else remembered(space, fakes)
                sets = Sets(target, seen, known, self.settings.bootstrap, self.settings.seed)
                asked = ["kid"] if name == "untrained" else METRICS if ranks else DISTANCES
                for metric, estimate in measure(sets, asked).items():
                    key = metric if ranks else f"{metric}_{space.name}"
                    result.setdefault(key, {})[name] = estimate
        return result

    def predict(self, images: Tensor) -> dict[str, np.ndarray]:
        """Predicted label [N] (strings) for each head."""
        probabilities = self.recognizer.predict(fit_size(images, self.recognizer.image_size))
        return {
            head: np.array(classes)[probabilities[head].argmax(dim=1).numpy()]
            for head, classes in self.recognizer.heads.items()
        }

    def agreement(
        self, source: Domain, fake: Tensor, target: Domain, direction: str
    ) -> dict[str, dict[str, dict[str, float]]]:
        """How far translations ``fake`` keep the labels of ``source``, beside two controls.

        Only classes that the target's training images have too are counted.

        Returns:
            head → {``translated``, ``copy``, ``shuffled``} → `Agreement` as a mapping; a head with
            fewer than two classes is left out. ``copy`` is of the source itself, the most that the
            evaluator can tell; ``shuffled`` is of a random real image of the target with one of
            the classes counted, which is chance.
        """
        labels = {head: column(source.labels, head) for head in self.recognizer.heads}
        known = self.train[DIRECTIONS[direction][1]]
        classes = {h: common_classes(x, column(known.labels, h)) for h, x in labels.items()}
        batches = {"translated": fake, "copy": source.images, "shuffled": target.images}
        told = {name: self.predict(images) for name, images in batches.items()}
        if len(classes.get("hair", [])) > 1:
            rule = ColourRule(known.images.numpy(), column(known.labels, "hair"), classes["hair"])
            for name, images in batches.items():
                told[name][COLOUR_RULE] = rule.predict(images.numpy())
            labels[COLOUR_RULE], classes[COLOUR_RULE] = labels["hair"], classes["hair"]
        result = {}
        for head, true in labels.items():
            partner = self._partners(target, head, classes[head], len(source))
            predicted = {name: values[head] for name, values in told.items()}
            predicted["shuffled"] = predicted["shuffled"][partner]
            result[head] = self._scores(true, classes[head], predicted)
        return {head: scores for head, scores in result.items() if scores}

    def _partners(self, target: Domain, head: str, classes: list[str], n: int) -> np.ndarray:
        """Row numbers [n] of random images of ``target`` that have one of ``classes``."""
        labels = column(target.labels, "hair" if head == COLOUR_RULE else head)
        rows = np.flatnonzero(np.isin(labels, classes))
        rows = rows if len(rows) else np.arange(len(labels))
        return np.random.default_rng([self.settings.seed, n]).choice(rows, n)

    def _scores(
        self, labels: np.ndarray, classes: list[str], predicted: Mapping[str, np.ndarray]
    ) -> dict[str, dict[str, float]]:
        draws, seed = self.settings.bootstrap, self.settings.seed
        scores = {
            name: balanced_agreement(labels, told, classes, draws=draws, seed=seed)
            for name, told in predicted.items()
        }
        return {name: score.as_dict() for name, score in scores.items() if score}


def column(labels: pd.DataFrame, head: str) -> np.ndarray:
    """One attribute's labels [N]; all ``unknown`` where the split has no such column."""
    if head not in labels:
        return np.full(len(labels), UNKNOWN)
    return labels[head].to_numpy(str)


def remembered(space: FeatureSpace, images: Tensor) -> np.ndarray:
    """Features of real images, which are the same for every variant: computed once, then read."""
    pixels = hashlib.sha256(images.contiguous().numpy().data).hexdigest()
    path = stage.cache_dir("features", space.name.replace(":", "-")) / f"{pixels}.npy"
    if not path.is_file():
        with replacing(path) as file:
            np.save(file, space(images))
    return np.load(path)

"""The evaluator: a recognizer trained apart, with its features, its labels and a colour rule."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from models.data import augment
from models.data.augment import channels_last, fit_size
from models.data.domain import Domain
from models.domains import DIRECTIONS
from models.errors import ModelError
from models.metrics import features
from models.metrics.features import (
    FeatureSpace,
    further_space,
    inception_space,
    ranking_space,
)
from models.metrics.quality import DISTANCES, METRICS, Sets, measure
from models.metrics.shape import ShapeModel
from models.public import efficientnet
from models.public.door import digest, weights_file
from models.recognizer.network import Recognizer
from models.recognizer.training import load_recognizer
from pipeline.core import params
from pipeline.evaluate.agreement import ColourRule, balanced_agreement, common_classes
from pipeline.evaluate.colours import colours_kept
from pipeline.evaluate.face_reader import MESH, FaceReader, as_sets
from pipeline.evaluate.remember import remembered
from pipeline.imaging.attributes import UNKNOWN

DRAWN = ("translated", "untrained")  # sets that are another with each variant
FACES_LEAST = 0.5  # of the real images; else nothing is said about faces
COLOUR_RULE = "hair_by_colour"  # the hair colour again, told by `ColourRule` instead of a network


class Evaluator:
    """Scores images against real ones; fixed once by real training images, then never changed."""

    def __init__(
        self,
        recognizer: Recognizer,
        spaces: Sequence[FeatureSpace],
        train: Mapping[str, Domain],
        settings: params.Evaluate,
        reader: FaceReader | None = None,
    ) -> None:
        """``spaces``: the first one ranks. ``train``: real images by domain."""
        self.recognizer, self.spaces, self.reader = recognizer, spaces, reader
        self.settings, self.train = settings, train

    @classmethod
    def load(
        cls,
        folder: Path,
        train: Mapping[str, Domain],
        settings: params.Evaluate,
        device: str,
        eyes: np.ndarray,
    ) -> Evaluator:
        """From a recognizer's folder; ``eyes`` [2, 2] of the template, in shares of the side.

        Raises ModelError when weights are missing.
        """
        spaces = [ranking_space(device), inception_space(device)]
        spaces += [further_space(path, device) for path in settings.further_features]
        here = [space for space in spaces if space]
        reader = FaceReader(mesh_if_here(), eyes, most=settings.faces)
        return cls(load_recognizer(folder, device=device), here, train, settings, reader)

    @property
    def name(self) -> str:
        """Which weights the numbers come from: of features that rank, labels, and faces' points."""
        names = [self.spaces[0].name, f"recognizer:{self.recognizer.fingerprint()[:8]}"]
        meshed = self.reader is not None and self.reader.meshed
        return " ".join([*names, f"{MESH}:{digest(MESH)}"] if meshed else names)

    @cached_property
    def shapes(self) -> dict[str, ShapeModel | None]:
        """Of the real training faces of each domain."""
        assert self.reader is not None
        return {
            name: self.reader.shape(channels_last(domain.images), name)
            for name, domain in self.train.items()
        }

    def faces(
        self, direction: str, source: Tensor, fake: Tensor, target: Tensor
    ) -> dict[str, dict[str, Any]]:
        """Metric → set → estimate, of uint8 [N, 3, S, S]: see `as_sets` and `colours_kept`.

        ``fake`` are the translations of ``source``, ``target`` real images of the other domain.
        Empty where real images of either domain show no faces (`FACES_LEAST`), as cats do not.
        """
        if self.reader is None:
            return {}
        from_, to = DIRECTIONS[direction]
        before, after = channels_last(source), channels_last(fake)
        reads = self.reader.read(before, from_), self.reader.read(channels_last(target), to)
        if min(faces.found.mean() for faces in reads) < FACES_LEAST:
            return {}
        drawn = {"draws": self.settings.bootstrap, "seed": self.settings.seed}
        numbers = self.reader.compare(reads[0], after, reads[1], self.shapes[to], **drawn)
        colours = colours_kept(before, after, self.reader.eyes, **drawn)
        return {**as_sets(numbers), **colours}

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
            target = seen(space, real)
            known = seen(space, self.train[domain].images) if ranks else target[:0]
            for name, fakes in images.items():
                looked = space(fakes) if name in DRAWN else seen(space, fakes)
                sets = Sets(target, looked, known, self.settings.bootstrap, self.settings.seed)
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


def mesh_if_here() -> Path | None:
    """The face mesh; None, with a line on standard error, where it is not here."""
    try:
        return weights_file(MESH, use="evaluation")
    except ModelError as error:
        print(f"measures of photographed faces are left out: {error}", file=sys.stderr, flush=True)
        return None


def seen(space: FeatureSpace, images: Tensor) -> np.ndarray:
    """Features of real images, which are looked at once."""
    return remembered(
        space.name, (features, efficientnet, augment), images.numpy(), lambda: space(images)
    )

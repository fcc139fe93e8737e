"""All numbers of one variant: distances, agreement of attributes, and their controls."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from models.checkpoint import Translator
from models.data.domain import Domain, load_domain
from models.domains import DIRECTIONS, DOMAINS
from models.metrics.held_out import l1
from pipeline.core import view
from pipeline.evaluate.evaluator import COLOUR_RULE, Evaluator
from pipeline.evaluate.truth import with_truth

DIGITS = 3  # after the point, of a run's scores in a table
OTHER = {"val": "test", "test": "val"}

Held = Mapping[str, Mapping[str, Domain]]  # split → domain → images


def load_held_out(splits: Path, image_size: int, limit: int) -> dict[str, dict[str, Domain]]:
    """Validation and test images of both domains, at most ``limit`` each.

    Rows are sorted by content hash, so the first ``limit`` are a fair sample and always the same.
    """
    return {
        split: {name: load_some(splits, split, name, image_size, limit) for name in DOMAINS}
        for split in OTHER
    }


def load_some(splits: Path, split: str, domain: str, image_size: int, limit: int) -> Domain:
    """The first ``limit`` images of one split and domain, uint8 [N, 3, S, S]."""
    loaded = load_domain(splits, split=split, domain=domain, image_size=image_size)
    return loaded.take(range(min(limit, len(loaded))))


def evaluate(
    translator: Translator,
    untrained: Translator,
    evaluator: Evaluator,
    held: Held,
    truth: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """All numbers of one variant: split → direction → block of `evaluate_direction`.

    ``comparable`` names what the numbers rest on: only where it is the same, they compare.
    """
    comparable = {"evaluator": evaluator.name, "data": data_digest(held)}
    result: dict[str, Any] = {
        "parameters": count_parameters(translator),
        "comparable": comparable,
    }
    for split, domains in held.items():
        result[split] = {
            direction: evaluate_direction(
                translator,
                untrained,
                evaluator,
                direction,
                domains,
                others=held[OTHER[split]][DIRECTIONS[direction][1]].images,
                truth=truth.get(DIRECTIONS[direction][0]),
            )
            for direction in DIRECTIONS
        }
    return result


def evaluate_direction(
    translator: Translator,
    untrained: Translator,
    evaluator: Evaluator,
    direction: str,
    domains: Mapping[str, Domain],
    others: Tensor,
    truth: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Numbers of one split and direction.

    Returns:
        ``quality``: metric → set → value, low, high, n_real, n_fake, see `Evaluator.quality`. The
        sets: ``translated``; ``untrained`` (by the same network before training), ``copy`` (the
        source images as they are) and ``floor`` (``others``, real images of the target from the
        other held-out split: what a perfect translator gets). ``faces``: see `Evaluator.faces`.
        ``agreement``: see `Evaluator.agreement`; ``agreement_with_truth``, where there is a
        ``truth``: the same with what the demo really drew in place of the labels. ``cycle_l1``:
        mean absolute difference between a source and its way there and back, in [0, 1].
    """
    source, target = (domains[name] for name in DIRECTIONS[direction])
    fake = translator.translate(source.images, direction, source.labels)
    images = {
        "translated": fake,
        "copy": source.images,
        "floor": others,
        "untrained": untrained.translate(source.images, direction, source.labels),
    }
    back = translator.translate(fake, opposite(direction), source.labels)
    block: dict[str, Any] = {
        "quality": evaluator.quality(DIRECTIONS[direction][1], target.images, images),
        "faces": evaluator.faces(direction, source.images, fake, target.images),
        "agreement": evaluator.agreement(source, fake, target, direction),
        "cycle_l1": l1(translator.seen(source.images, DIRECTIONS[direction][0]), back),
    }
    known = with_truth(source, truth) if truth is not None else None
    if known:
        rows = [place for place, name in enumerate(source.ids) if name in set(known.ids)]
        block["agreement_with_truth"] = evaluator.agreement(known, fake[rows], target, direction)
    return block


def data_digest(held: Held) -> str:
    """First digits of the sha256 of the held-out images' ids, which are hashes themselves."""
    ids = [name for _, domains in sorted(held.items()) for d in domains.values() for name in d.ids]
    size = next(iter(held["val"].values())).images.shape[-1]
    return hashlib.sha256(" ".join([str(size), *ids]).encode()).hexdigest()[:8]


def opposite(direction: str) -> str:
    """The other of the two directions."""
    return next(name for name in DIRECTIONS if name != direction)


def count_parameters(translator: Translator) -> int:
    """Weights needed to translate in both directions."""
    return sum(weight.numel() for weight in translator.network.parameters())


def headline(result: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """What a run in MLflow shows: the few numbers to compare runs by, then those of validation.

    The few, photos to anime: ``kid``, ``face_found`` and ``kept`` (a mean over labels), shares in
    [0, 1], ``cycle`` (`evaluate_direction`'s ``cycle_l1``) and ``minutes`` of training, from
    ``seconds``, all rounded to be read in a table. What was not measured is left out. Test images
    are for the winner alone.
    """
    block = result["val"][next(iter(DIRECTIONS))]
    kept = [head["translated"]["value"] for name, head in block["agreement"].items()
            if name != COLOUR_RULE]  # fmt: skip
    found = block["faces"].get("found")
    few = {
        "kid": block["quality"]["kid"]["translated"]["value"],
        "face_found": found["translated"]["value"] if found else math.nan,
        "kept": sum(kept) / len(kept) if kept else math.nan,
        "cycle": block["cycle_l1"],
        "minutes": seconds / 60,
    }
    known = {name: round(value, DIGITS) for name, value in few.items() if not math.isnan(value)}
    return {**known, "parameters": result["parameters"], **view.scores(result["val"])}

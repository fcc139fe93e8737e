"""Ladders with trained models on them, plainly and all enlarged by the public upscaler.

``python -m tests.models.metrics.trained_ladder data/splits GOOD BAD`` prints the tables of
docs/evaluation.md: folders of models, the better one first, and splits that they were trained on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from models.checkpoint import load_translator
from models.data.augment import channels_last
from models.data.domain import load_domain
from models.metrics.estimate import Estimate
from models.metrics.features import FeatureSpace, ranking_space
from models.metrics.kid import kid
from pipeline.imaging.enlarge import enlarge
from tests.models.metrics.test_ladder import batch, worse

MOST = 200  # images of a set
LARGE = 256  # pixels


def rungs(splits: Path, models: Mapping[str, Path]) -> tuple[Tensor, dict[str, Tensor]]:
    """Other real anime faces, and every rung, best first as the eye has it."""
    first = load_translator(next(iter(models.values())), "cpu")
    size = first.image_size
    anime = load_domain(splits, split="val", domain="anime", image_size=size).images
    reference = load_domain(splits, split="test", domain="anime", image_size=size).images[:MOST]
    photos = load_domain(splits, split="val", domain="photos", image_size=size).images[:MOST]
    real = anime[:MOST]
    made = {name: batch(p) for name, p in worse(_pictures(real)).items()}
    half = torch.cat([real[::2], photos[::2]])
    drawn = {
        name: load_translator(folder, "cpu").translate(photos, "photos2anime")
        for name, folder in models.items()
    }
    best = {"real anime": real, "slightly blurred": made["slightly blurred"]}
    best |= {"JPEG at quality 30": made["JPEG at quality 30"], "half of them photos": half}
    worst = {"photos": photos, "noise": made["noise"], "grids": made["grids"]}
    return reference, {**best, **drawn, **worst}


def enlarged(images: Tensor) -> Tensor:
    """uint8 [N, 3, `LARGE`, `LARGE`], by the network for drawings."""
    return batch(list(map(Image.fromarray, enlarge(channels_last(images), LARGE, kind="drawing"))))


def climbed(
    space: FeatureSpace, reference: Tensor, sets: Mapping[str, Tensor]
) -> dict[str, Estimate]:
    """Rung → KID to ``reference``."""
    real = space(reference)
    return {name: kid(real, space(images), draws=200) for name, images in sets.items()}


def _pictures(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(x) for x in channels_last(images)]


def main() -> None:
    """Print both tables."""
    splits, *folders = map(Path, sys.argv[1:])
    space = ranking_space("cpu")
    reference, sets = rungs(splits, {f"outputs of {f.name}": f for f in folders})
    drawn = [name for name in sets if name.startswith("outputs")]
    few = {name: enlarged(sets[name]) for name in ("real anime", *drawn, "photos")}
    for title, real, table in (
        ("plain", reference, sets),
        (f"enlarged to {LARGE} px", enlarged(reference), few),
    ):
        print(f"| {title} | KID |\n|---|---|")
        for rung, x in climbed(space, real, table).items():
            print(f"| {rung} | {x.value:.3f} [{x.low:.3f}, {x.high:.3f}] |", flush=True)


if __name__ == "__main__":
    main()

"""A ladder of pictures, each worse to the eye than the one before: the space that ranks agrees.

``python -m tests.models.metrics.test_ladder`` prints the table of docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from models.metrics.estimate import Estimate
from models.metrics.features import FeatureSpace, ranking_space
from models.metrics.kid import kid

DATA = Path(__file__).resolve().parents[4] / "shared/data/selfie2anime128"
N, SIDE = 200, 64
Picture = Image.Image
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


def read(name: str, start: int) -> list[Picture]:
    """``N`` pictures of a zip at 64 px."""
    with ZipFile(DATA / name) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith("jpg"))[start : start + N]
        pictures = [Image.open(BytesIO(archive.read(n))).convert("RGB") for n in names]
    return [p.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for p in pictures]


def jpeg(picture: Picture, quality: int) -> Picture:
    encoded = BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return Image.open(encoded).convert("RGB")


def changed(pictures: list[Picture], change: Callable[[np.ndarray], np.ndarray]) -> list[Picture]:
    arrays = (np.asarray(p, float) for p in pictures)
    return [Image.fromarray(change(a).clip(0, 255).astype(np.uint8)) for a in arrays]


def worse(pictures: list[Picture]) -> dict[str, list[Picture]]:
    """Rung → the same pictures, made worse."""
    rng = np.random.default_rng(0)
    return {
        "slightly blurred": [p.filter(ImageFilter.GaussianBlur(0.4)) for p in pictures],
        "JPEG at quality 30": [jpeg(p, 30) for p in pictures],
        "noise": changed(pictures, lambda x: x + rng.normal(0, 80, x.shape)),
        "grids": changed(pictures, grid),
    }


def grid(picture: np.ndarray) -> np.ndarray:
    """Dark lines, as upsampling may leave them."""
    lines = picture.copy()
    lines[::4] -= 60
    lines[:, ::4] -= 60
    return lines


def batch(pictures: list[Picture]) -> Tensor:
    """uint8 [N, 3, S, S]."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2)


def rungs() -> dict[str, list[Picture]]:
    """Best first."""
    anime, photos = read("trainB.zip", N), read("trainA.zip", 0)
    made = worse(anime)
    return {
        "real anime": anime,
        "slightly blurred": made["slightly blurred"],
        "JPEG at quality 30": made["JPEG at quality 30"],
        "half of them photos": [*anime[::2], *photos[::2]],
        "photos": photos,
        "noise": made["noise"],
        "grids": made["grids"],
    }


def climbed(space: FeatureSpace) -> dict[str, Estimate]:
    """Rung → KID to other real anime faces."""
    real = space(batch(read("trainB.zip", 0)))
    return {name: kid(real, space(batch(p)), draws=200) for name, p in rungs().items()}


@needs_data
def test_what_ranks_goes_down_the_ladder_as_the_eye_does() -> None:
    told = climbed(ranking_space("cpu"))
    real, *_, half, photos, noise, grids = values = [e.value for e in told.values()]
    assert abs(real) < 0.01
    assert values[:4] == sorted(values[:4]), told
    assert min(photos, noise, grids) > 2 * half, told


if __name__ == "__main__":
    for rung, estimate in climbed(ranking_space("cpu")).items():
        print(f"| {rung} | {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] |")

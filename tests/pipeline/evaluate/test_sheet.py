"""Beside its sheet, a variant leaves a strip of pictures that the result page cuts."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from models.data.augment import channels_last
from models.data.domain import Domain
from pipeline.evaluate.sheet import draw
from pipeline.figures import sheets


def test_the_strip_has_the_first_sources_above_their_translations(tmp_path: Path):
    pixels = torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8)
    source = Domain(pixels, [f"{n}" for n in range(10)], pd.DataFrame(index=range(10)))
    translator = SimpleNamespace(
        variant=SimpleNamespace(name="fake"), translate=lambda images, *others: 255 - images
    )
    draw(tmp_path / "photos2anime.png", translator, source, "photos2anime", rows=5)
    cells = sheets.cut(tmp_path / "photos2anime-strip.png", rows=2)
    shown = np.array([[np.asarray(cell) for cell in row] for row in cells])
    assert np.array_equal(shown[0], channels_last(pixels[:8]))
    assert np.array_equal(shown[1], 255 - shown[0])

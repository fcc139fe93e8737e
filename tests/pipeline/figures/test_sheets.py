"""Strips are read as they were written; paper is no strip of white on a dark page."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.figures import sheets


def pictures(count: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def test_a_strip_is_cut_into_what_it_was_made_of(tmp_path: Path):
    above, below = pictures(3), pictures(3)[::-1]
    sheets.strip(tmp_path / "x/strip.png", [above, below])
    cells = sheets.cut(tmp_path / "x/strip.png", rows=2)
    assert np.array_equal([[np.asarray(cell) for cell in row] for row in cells], [above, below])


def test_paper_is_transparent_and_ink_reads_on_any_page(tmp_path: Path):
    images = [*pictures(1), np.full((8, 4, 3), 255, np.uint8)]  # one is no square
    sheets.contact_sheet(tmp_path / "contact.png", images, ["one", "two"], cell=32)
    columns = {"real": pictures(2), "to anime": pictures(2)}
    sheets.comparison_sheet(tmp_path / "comparison.png", columns, "a title", blocks=1)
    for name in ("contact", "comparison"):
        sheet = Image.open(tmp_path / f"{name}.png")
        pixels = np.asarray(sheet)
        assert sheet.mode == "RGBA" and pixels[0, 0, 3] == 0
        letters = pixels[(pixels[..., 3] > 0) & (pixels[..., 3] < 255)]
        assert len(letters) and (abs(letters[:, :3].astype(int) - 127) <= 2).all()  # no dark edge

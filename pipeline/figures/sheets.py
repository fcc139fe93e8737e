"""Sheets of pictures that let a person judge a data set or a model in a minute.

Their paper is transparent and their ink grey, so that they lie well on a light and a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from models.runtime.files import write_bytes

INK = (127, 127, 127, 255)
PAPER = (*INK[:3], 0)  # of the ink's colour, or letters would get dark edges
GAP = 5  # pixels around a cell
LINE = 12  # pixels of a caption's line
FACE = 128  # pixels: smaller faces are enlarged to this, so that details can be judged


def contact_sheet(
    path: Path,
    images: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    *,
    columns: int = 10,
    cell: int = 96,
) -> None:
    """Write a PNG grid of pictures, each in a square of its own.

    Args:
        path: the file; its folder is made.
        images: RGB uint8 [H, W, 3], of any sizes. None of them gives a sheet that says so.
        captions: one for each image, to stand underneath; the longest sets the space.
        columns: pictures side by side.
        cell: pixels of a square's side.
    """
    lines = max((text.count("\n") + 1 for text in captions), default=0)
    across, down = cell + GAP, cell + GAP + LINE * lines
    rows = max(1, -(-len(images) // columns))
    sheet, draw = _paper(columns * across + GAP, rows * down + GAP)
    if not images:
        draw.text((GAP, GAP), "none", INK, ImageFont.load_default(10))
    for index, image in enumerate(images):
        left, top = GAP + index % columns * across, GAP + index // columns * down
        sheet.paste(_fit(image, cell), (left, top))
        if captions:
            draw.text((left, top + cell), captions[index], INK, ImageFont.load_default(10))
    _save(path, sheet)


def comparison_sheet(
    path: Path, columns: Mapping[str, np.ndarray], title: str, *, blocks: int = 2
) -> None:
    """Write a PNG with image i of every column side by side, under the columns' names.

    Args:
        path: the file; its folder is made.
        columns: name → RGB uint8 [N, S, S, 3].
        title: stands above all.
        blocks: the N rows run down this many blocks of columns.
    """
    count, side = next(iter(columns.values())).shape[:2]
    rows, cell = -(-count // blocks), max(FACE, side)
    step, header = cell + GAP, 50
    block = len(columns) * step + 3 * GAP
    sheet, draw = _paper(blocks * block - 2 * GAP, header + rows * step)
    draw.text((GAP, 5), title, INK, ImageFont.load_default(17))
    for place, (name, images) in enumerate(columns.items()):
        for index, image in enumerate(images):
            left = GAP + index // rows * block + place * step
            sheet.paste(_fit(image, cell), (left, header + index % rows * step))
            if index % rows == 0:
                draw.text((left, 30), name, INK, ImageFont.load_default(14))
    _save(path, sheet)


def strip(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Write a PNG of rows of equal square pictures with nothing between them, for `cut` to read.

    Args:
        path: the file; its folder is made.
        rows: RGB uint8 [N, S, S, 3] each, all of one shape.
    """
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    _save(path, Image.fromarray(np.concatenate(lines)))


def cut(path: Path, rows: int) -> list[list[Image.Image]]:
    """The single pictures of a `strip` of that many rows. Raises OSError for what is no picture."""
    whole = Image.open(path).convert("RGB")
    side = whole.height // rows
    return [
        [
            whole.crop((left, top, left + side, top + side))
            for left in range(0, whole.width - side + 1, side)
        ]
        for top in range(0, rows * side, side)
    ]


def _paper(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGBA", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _fit(image: np.ndarray, cell: int) -> Image.Image:
    """The whole of ``image``, as large as it goes, in the middle of a square of paper."""
    return ImageOps.pad(Image.fromarray(image).convert("RGBA"), (cell, cell), color=PAPER)


def _save(path: Path, sheet: Image.Image) -> None:
    encoded = BytesIO()
    sheet.save(encoded, "PNG")
    write_bytes(path, encoded.getvalue())

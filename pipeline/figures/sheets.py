"""Pictures that let a person judge a data set in a minute: contact sheets, histograms, bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

PAD, TEXT = 4, 12  # pixels around a cell, and for each line under it


def contact_sheet(
    path: Path,
    images: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    *,
    columns: int = 10,
    cell: int = 96,
) -> None:
    """Write a PNG grid of ``images`` (RGB uint8 [H, W, 3], any sizes), each in a square ``cell``.

    ``captions`` stand underneath, one for each image; the first with most lines sets the space.
    An empty sequence gives an empty sheet that says so.
    """
    lines = max((text.count("\n") + 1 for text in captions), default=0)
    step_x, step_y = cell + PAD, cell + PAD + TEXT * lines
    rows = max(1, -(-len(images) // columns))
    sheet = Image.new("RGB", (columns * step_x + PAD, rows * step_y + PAD), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    if not images:
        draw.text((PAD, PAD), "none", fill="black", font=font)
    for index, image in enumerate(images):
        x = PAD + index % columns * step_x
        y = PAD + index // columns * step_y
        sheet.paste(Image.fromarray(_fit(image, cell)), (x, y))
        if captions:
            draw.text((x, y + cell), captions[index], fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def histograms(
    path: Path, values: Mapping[str, np.ndarray], limits: Mapping[str, float] | None = None
) -> None:
    """Write a PNG with one histogram per name, and a line where its limit is."""
    figure = Figure(figsize=(3.2 * len(values), 2.6), layout="constrained")
    for axes, (name, numbers) in zip(
        figure.subplots(1, len(values), squeeze=False)[0], values.items(), strict=True
    ):
        axes.hist(numbers, bins=40)
        axes.set(title=name, yscale="log")
        if limits and name in limits:
            axes.axvline(limits[name], color="red", linestyle="--")
    _save(figure, path)


def bars(path: Path, shares: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Write a PNG with one bar chart per attribute: value → share in [0, 1]."""
    figure = Figure(figsize=(3.0 * len(shares), 2.8), layout="constrained")
    figure.suptitle(title)
    for axes, (name, values) in zip(
        figure.subplots(1, len(shares), squeeze=False)[0], shares.items(), strict=True
    ):
        axes.bar(list(values), list(values.values()))
        axes.set(title=name, ylim=(0, 1))
        axes.tick_params(axis="x", rotation=60)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})  # no version: equal bytes again


def _fit(image: np.ndarray, cell: int) -> np.ndarray:
    """``image`` in the middle of a light grey square."""
    scale = cell / max(image.shape[:2])
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
    square = np.full((cell, cell, 3), 235, np.uint8)
    top, left = (cell - height) // 2, (cell - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=shrink
    )
    return square

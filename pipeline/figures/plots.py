"""Captioned picture sheets that a person can judge: rows of images side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from models.runtime.files import write_bytes
from pipeline.core import tables

if TYPE_CHECKING:  # importing it takes two seconds, which stages without a network should not pay
    from models.recognizer.calibration import Reliability

CELL = 128  # pixels: smaller images are enlarged to this, so that faces can be judged
GAP, BAND = 6, 26  # pixels between images; height of a caption line
PAPER, INK, GREY = (252, 251, 249), (30, 29, 27), (115, 112, 106)


def comparison_sheet(columns: dict[str, np.ndarray], title: str, *, blocks: int = 2) -> np.ndarray:
    """Sheet uint8 [H, W, 3]: image i of every column beside each other, under the columns' names.

    ``columns``: name → RGB uint8 [N, S, S, 3]. The N rows run down ``blocks`` blocks of columns.
    """
    images = list(columns.values())
    count, cell = len(images[0]), max(CELL, images[0].shape[1])
    rows, step = -(-count // blocks), cell + GAP
    block = len(columns) * step + 3 * GAP
    sheet = Image.new("RGB", (blocks * block - 2 * GAP, 2 * BAND + rows * step), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 5), title, INK, ImageFont.load_default(17))
    for i in range(count):
        left, top = GAP + (i // rows) * block, 2 * BAND + (i % rows) * step
        for j, (name, column) in enumerate(columns.items()):
            if i % rows == 0:
                draw.text((left + j * step, BAND + 6), name, GREY, ImageFont.load_default(14))
            sheet.paste(Image.fromarray(enlarge(column[i], cell)), (left + j * step, top))
    return np.asarray(sheet)


def enlarge(image: np.ndarray, size: int) -> np.ndarray:
    """RGB uint8 [S, S, 3] → [size, size, 3], bicubic."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)


def confusion_sheet(
    path: Path, counts: Mapping[str, np.ndarray], classes: Sequence[str], title: str
) -> None:
    """Write a PNG with confusion matrices side by side.

    ``counts``: name → int [K, K], true classes down and predicted classes across. Cells are shaded
    by the share of their row and hold the count.
    """
    figure = Figure(figsize=(4.2 * len(counts), 4.4), layout="constrained")
    figure.suptitle(title)
    plots = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, matrix) in zip(plots, counts.items(), strict=True):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set(title=name, xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(classes)), classes, rotation=60)
        axes.set_yticks(range(len(classes)), classes)
        for i, j in np.argwhere(matrix):
            ink = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=ink, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})  # no version: equal bytes again


def reliability_sheet(
    path: Path, panels: Mapping[str, Mapping[str, Reliability]], title: str
) -> None:
    """Write a PNG of reliability diagrams: accuracy over confidence, the diagonal being honest.

    ``panels``: name of a diagram → name of a curve → its bins. Dots grow with the images in a bin.
    """
    across = min(4, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.2 * across, 3.4 * down + 0.4), layout="constrained")
    figure.suptitle(title)
    plots = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, (name, curves) in zip(plots, panels.items(), strict=False):
        axes.plot([0, 1], [0, 1], color="grey", linestyle="dotted", linewidth=1)
        for curve, bins in curves.items():
            used = (bins.counts > 0).numpy()
            x, y = bins.confidence.numpy()[used], bins.accuracy.numpy()[used]
            size = 4 + 80 * (bins.counts / bins.counts.sum()).numpy()[used]
            (line,) = axes.plot(x, y, linewidth=1, label=f"{curve}: ECE {bins.error:.3f}")
            axes.scatter(x, y, size, color=line.get_color())
        images = int(bins.counts.sum())
        axes.set(title=f"{name} ({images})", xlim=(0, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="confidence", ylabel="accuracy")
        axes.legend(fontsize=8, loc="best")
    for axes in plots[len(panels) :]:
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})  # no version: equal bytes again


def save(path: Path, sheet: np.ndarray) -> None:
    """Write a sheet as PNG, making its folder; in one move."""
    write_bytes(path, tables.encode_png(sheet))

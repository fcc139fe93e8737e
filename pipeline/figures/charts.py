"""Charts by matplotlib: PNG files for the stages' sheets, SVG for the result page.

Equal data give equal bytes: no date, no version, no random ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.runtime.files import write_bytes

if TYPE_CHECKING:  # importing it takes two seconds, which stages without a network should not pay
    from models.recognizer.calibration import Reliability

# Okabe & Ito (2008), readable with any kind of colour vision; dashes tell the lines apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dashed", "dotted", "dashdot")
POINTS = 120  # of a line: more cannot be seen
INK = "#010203"  # becomes the page's colour of text, be it light or dark
PAGE: Any = dict.fromkeys(
    ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
) | {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "face2anime",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}


def histograms(
    path: Path, values: Mapping[str, np.ndarray], limits: Mapping[str, float] | None = None
) -> None:
    """Write a PNG with one histogram per name, and a line where its limit is."""
    figure, plots = _row(len(values), 3.2, 2.6)
    for axes, (name, numbers) in zip(plots, values.items(), strict=True):
        axes.hist(numbers, bins=40)
        axes.set(title=name, yscale="log")
        if limits and name in limits:
            axes.axvline(limits[name], color="red", linestyle="--")
    _save(path, figure)


def bars(path: Path, shares: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Write a PNG with one bar chart per attribute: value → share in [0, 1]."""
    figure, plots = _row(len(shares), 3.0, 2.8, title)
    for axes, (name, values) in zip(plots, shares.items(), strict=True):
        axes.bar(list(values), list(values.values()))
        axes.set(title=name, ylim=(0, 1))
        axes.tick_params(axis="x", rotation=60)
    _save(path, figure)


def confusion(
    path: Path, counts: Mapping[str, np.ndarray], classes: Sequence[str], title: str
) -> None:
    """Write a PNG with confusion matrices side by side.

    Args:
        path: the file; its folder is made.
        counts: name → int [K, K], true classes down and predicted classes across. A cell is shaded
            by its share of the row and holds the count.
        classes: the K names.
        title: stands above all.
    """
    figure, plots = _row(len(counts), 4.2, 4.4, title)
    for axes, (name, matrix) in zip(plots, counts.items(), strict=True):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set(title=name, xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(classes)), classes, rotation=60)
        axes.set_yticks(range(len(classes)), classes)
        for i, j in np.argwhere(matrix):
            ink = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=ink, fontsize=8)
    _save(path, figure)


def reliability(path: Path, panels: Mapping[str, Mapping[str, Reliability]], title: str) -> None:
    """Write a PNG of reliability diagrams: accuracy over confidence, the diagonal being honest.

    Args:
        path: the file; its folder is made.
        panels: name of a diagram → name of a curve → its bins. Dots grow with the images in a bin.
        title: stands above all.
    """
    across = min(4, len(panels))
    figure, plots = _grid(len(panels), across, 3.2, 3.4, title)
    for axes, (name, curves) in zip(plots, panels.items(), strict=True):
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
    _save(path, figure)


def curves(frames: Mapping[str, pd.DataFrame]) -> str:
    """SVG with a panel for each column of any of ``frames`` (name → values by images seen).

    In it is a line for each frame that has two values or more there.
    """
    columns = dict.fromkeys(column for frame in frames.values() for column in frame)
    series = {
        str(column): {
            name: _thin(values)
            for name, frame in frames.items()
            if column in frame and len(values := frame[column].dropna()) > 1
        }
        for column in columns
    }
    series = {column: lines for column, lines in series.items() if lines}
    if not series:
        return ""
    order = list(frames)
    with rc_context(PAGE):
        figure, plots = _grid(len(series), min(3, len(series)), 3.5, 2.2)
        for axes, (column, lines) in zip(plots, series.items(), strict=True):
            for name, values in lines.items():
                place = order.index(name)
                colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
                axes.plot(values, color=colour, linestyle=dash, label=name)
            axes.set(title=column, xlabel="images")
        keys = {str(line.get_label()): line for axes in plots for line in axes.get_lines()}
        figure.legend(keys.values(), keys, loc="outside upper left", ncols=6, frameon=False)
        ends = {
            name: (min(map(min, lines.values())), max(map(max, lines.values())))
            for name, lines in series.items()
        }
        said = "; ".join(f"{name}, from {a:.3g} to {b:.3g}" for name, (a, b) in ends.items())
        return _svg(figure, said)


def intervals(
    title: str, rows: Sequence[tuple[str, float, float, float, bool]], limit: float
) -> str:
    """SVG of dots with intervals, one row a (name, value, low, high, is_control), up to ``limit``.

    The axis is the square root of the value, where values that differ by orders of magnitude still
    show; for a KID, an MMD², that is the distance MMD itself. Negative values sit at 0.
    """
    rows = [row for row in rows if np.isfinite(row[1:4]).all()]
    if not rows:
        return ""
    with rc_context(PAGE):
        figure = Figure(figsize=(7, 0.9 + 0.27 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (_, *numbers, control) in enumerate(rows):
            value, low, high = np.clip(numbers, 0, limit)
            colour = "#7f7f7f" if control else COLOURS[0]
            axes.plot([low, high], [place, place], color=colour, linewidth=3)
            axes.plot(value, place, "o", color=colour)
            off = ", off the chart" if numbers[0] > limit else ""
            axes.annotate(
                f"{numbers[0]:.3g}{off}",
                (high, place),
                (10, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set(xlim=(0, 1.02 * max(limit, 1e-9)), ylim=(len(rows) - 0.5, -0.5))
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        said = "; ".join(f"{name} {value:.3g}" for name, value, *_ in rows)
        return _svg(figure, f"{title}: {said}")


def _row(
    count: int, width: float, height: float, title: str | None = None
) -> tuple[Figure, list[Axes]]:
    return _grid(count, count, width, height, title)


def _grid(
    count: int, across: int, width: float, height: float, title: str | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` plots of that size in inches, ``across`` of them side by side."""
    down = -(-count // across)
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    if title:
        figure.suptitle(title)
    plots = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in plots[count:]:
        axes.set_axis_off()
    return figure, plots[:count]


def _thin(values: pd.Series) -> pd.Series:
    """At most `POINTS` values: means over equal stretches, which also calms the noise."""
    group = np.arange(len(values)) // -(-len(values) // POINTS)
    means = values.groupby(group).mean()
    return means.set_axis(values.index.to_series().groupby(group).mean())


def _save(path: Path, figure: Figure) -> None:
    encoded = BytesIO()
    figure.savefig(encoded, format="png", dpi=90, metadata={"Software": None})
    write_bytes(path, encoded.getvalue())


def _svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element that takes its page's colour of text."""
    drawn = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(drawn, format="svg", metadata=nothing)
    text = drawn.getvalue()
    named = f'<svg role="img" aria-label="{escape(description)}"'
    return named + text[text.index("<svg") + 4 :].replace(INK, "currentColor")

"""Charts by matplotlib: PNG files for the stages' sheets, SVG for the result page.

Equal data give equal bytes: no date, no version, no random ids. An SVG is as wide as a phone, so
that a page never has to shrink its letters; larger screens show several side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from models.runtime.files import write_bytes

if TYPE_CHECKING:  # importing it takes two seconds, which stages without a network should not pay
    from models.recognizer.calibration import Reliability

# Okabe & Ito (2008), readable with any kind of colour vision; dashes tell the lines apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dashed", "dotted", "dashdot")
POINTS = 120  # of a line: more cannot be seen
INK = "#010203"  # becomes the page's colour of text, be it light or dark
CONTROL = "#808080"
WIDE, LETTERS = 3.2, 34  # inches of an SVG, and what of its title fits into a line
PAGE: Any = dict.fromkeys(
    ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
) | {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,  # points; a page's pixel is ¾ of one
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


def curves(frames: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> list[str]:
    """An SVG for each column of any of ``frames`` (name → values by images seen).

    In it is a line for each frame that has two values or more there. ``titles``: column → title.
    """
    order = list(frames)
    drawn = []
    for column in dict.fromkeys(str(name) for frame in frames.values() for name in frame):
        lines = {
            name: _thin(values)
            for name, frame in frames.items()
            if column in frame and len(values := frame[column].dropna()) > 1
        }
        if not lines:
            continue
        title = titles.get(column, column)
        with rc_context(PAGE):
            figure, axes = _chart(title, 2.3)
            for name, values in lines.items():
                place = order.index(name)
                colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
                axes.plot(values, color=colour, linestyle=dash, label=fill(name, LETTERS))
            axes.set_xlabel("images seen")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            across = max(1, LETTERS // (6 + max(map(len, lines))))
            figure.legend(loc="outside lower left", ncols=across, frameon=False)
            ends = [f"{name} from {v.iloc[0]:.3g} to {v.iloc[-1]:.3g}" for name, v in lines.items()]
            drawn.append(_svg(figure, f"{title}: lines over images seen, {'; '.join(ends)}"))
    return drawn


def intervals(
    title: str,
    rows: Sequence[tuple[str, float, float, float, bool]],
    limit: float,
    *,
    root: bool = False,
    told: Callable[[float], str] = "{:.3g}".format,
) -> str:
    """SVG of dots with intervals, one row a (name, value, low, high, is_control), up to ``limit``.

    With ``root`` the axis is the square root of the value, where values that differ by orders of
    magnitude still show; for a KID, an MMD², that is the distance MMD itself. Negative values sit
    at 0, an interval of NaN is none. ``told`` prints a value. Rows without one are left out;
    without any row there is no chart.
    """
    rows = [row for row in rows if np.isfinite(row[1])]
    if not rows:
        return ""
    with rc_context(PAGE):
        figure, axes = _chart(title, 0.4 + 0.36 * len(rows))
        for place, (name, value, low, high, control) in enumerate(rows):
            colour = CONTROL if control else COLOURS[0]
            ends = np.clip(np.nan_to_num([low, high], nan=value), 0, limit)
            axes.axhline(place, color=CONTROL, linewidth=0.5, alpha=0.4)
            axes.plot(ends, [place, place], color=colour, linewidth=4, solid_capstyle="round")
            axes.plot(np.clip(value, 0, limit), place, "o", color=colour, clip_on=False)
            off = ", off the chart" if value > limit else ""
            beside: Any = {"transform": axes.get_yaxis_transform(), "va": "bottom"}
            axes.text(0, place - 0.22, name, ha="left", **beside)
            axes.text(1, place - 0.22, f"{told(value)}{off}", ha="right", **beside)
        if root:
            axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set(xlim=(0, max(limit, 1e-9)), ylim=(len(rows) - 0.6, -0.9))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: told(value))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        said = "; ".join(f"{name} {told(value)}" for name, value, *_ in rows)
        return _svg(figure, f"{title}. Dots with 95 % intervals: {said}")


def shares(title: str, values: Mapping[str, Mapping[str, float]]) -> str:
    """SVG of bars in per cent: series → value → share in [0, 1]. Without any there is no chart."""
    names = list(dict.fromkeys(name for series in values.values() for name in series))
    if not names:
        return ""
    thick = 0.8 / len(values)
    with rc_context(PAGE):
        figure, axes = _chart(title, 0.7 + 0.17 * len(names) * len(values))
        for number, (series, known) in enumerate(values.items()):
            places = np.arange(len(names)) + (number - (len(values) - 1) / 2) * thick
            widths = [100 * known.get(name, 0) for name in names]
            axes.barh(places, widths, thick, color=COLOURS[number], label=series)
        axes.set_yticks(range(len(names)), [fill(name, 14) for name in names])
        axes.set(xlim=(0, 100), ylim=(len(names) - 0.5, -0.5), xlabel="%")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        figure.legend(loc="outside lower left", ncols=len(values), frameon=False)
        said = [
            f"{series}: {', '.join(f'{name} {share:.0%}' for name, share in known.items())}"
            for series, known in values.items()
        ]
        return _svg(figure, f"{title}. Bars, {'; '.join(said)}")


def _chart(title: str, height: float) -> tuple[Figure, Axes]:
    """A plot of so many inches below a title in words."""
    said = fill(title, LETTERS)
    lines = said.count("\n") + 1
    figure = Figure(figsize=(WIDE, height + 0.2 * lines), layout="constrained")
    figure.suptitle(said, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure, figure.subplots()


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
    text = re.sub(r' id="[\w.]+_\d+"', "", drawn.getvalue())  # else each chart of a page has them
    named = f'<svg role="img" aria-label="{escape(description)}"'
    return named + text[text.index("<svg") + 4 :].replace(INK, "currentColor")

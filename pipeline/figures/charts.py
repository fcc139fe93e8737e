"""Small SVG charts for the result page: no script, no font, colours that work on light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

# Okabe & Ito (2008), readable with any kind of colour vision; dashes tell the lines apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("none", "6 3", "2 2", "8 3 2 3")
POINTS = 120  # per line: more cannot be seen at this width


def lines(title: str, series: Mapping[str, pd.Series], width: int = 320, height: int = 170) -> str:
    """Line chart, one line a name. Each series holds y values indexed by x; NaN are left out."""
    clean = {name: _thin(values.dropna()) for name, values in series.items()}
    clean = {name: values for name, values in clean.items() if len(values) > 1}
    if not clean:
        return ""
    xs = np.concatenate([values.index.to_numpy(float) for values in clean.values()])
    ys = np.concatenate([values.to_numpy(float) for values in clean.values()])
    x_of = _scale(float(xs.min()), float(xs.max()), 44, width - 8)
    y_of = _scale(float(ys.min()), float(ys.max()), height - 24, 26)
    marks = [
        f'<polyline fill="none" stroke="{colour(i)}" stroke-width="1.8" '
        f'stroke-dasharray="{DASHES[i % len(DASHES)]}" points="'
        + " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in clean[name].items())
        + f'"><title>{escape(name)}</title></polyline>'
        for i, name in enumerate(series)
        if name in clean
    ]
    ends = f"from {ys.min():.3g} to {ys.max():.3g}"
    labels = [
        _text(4, 14, title, bold=True),
        _text(40, y_of(float(ys.max())) + 4, f"{ys.max():.3g}", anchor="end"),
        _text(40, y_of(float(ys.min())) + 4, f"{ys.min():.3g}", anchor="end"),
        _text(44, height - 6, f"{xs.min():,.0f}"),
        _text(width - 8, height - 6, f"{xs.max():,.0f} images", anchor="end"),
    ]
    return _svg(width, height, f"{title}, {ends}", [*_frame(width, height), *marks, *labels])


def intervals(
    title: str,
    rows: Sequence[tuple[str, float, float, float, bool]],
    limit: float,
    width: int = 640,
) -> str:
    """Dots with intervals, one row a (name, value, low, high, is_control), up to ``limit``.

    The axis is the square root of the value, where values that differ by orders of magnitude still
    show; for a KID, an MMD², that is the distance MMD itself. Negative values sit at 0.
    """
    rows = [row for row in rows if np.isfinite(row[1:4]).all()]
    if not rows:
        return ""
    x_of = _scale(0.0, float(np.sqrt(max(limit, 1e-9))), 120, width - 150)

    def place(value: float) -> float:
        return x_of(float(np.sqrt(min(max(value, 0.0), limit))))

    height = 34 + 24 * len(rows)
    marks = [_text(4, 14, title, bold=True)]
    for i, (name, value, low, high, control) in enumerate(rows):
        y = 36 + 24 * i
        ink = "var(--muted)" if control else COLOURS[0]
        label = f"{value:.3g}, off the chart" if value > limit else f"{value:.3g}"
        marks += [
            _text(110, y + 4, name, anchor="end"),
            f'<line x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{ink}" stroke-width="3" stroke-linecap="round"/>',
            f'<circle cx="{place(value):.1f}" cy="{y}" r="5" fill="{ink}"/>',
            _text(place(high) + 10, y + 4, label),
        ]
    description = "; ".join(f"{name} {value:.3g}" for name, value, *_ in rows)
    return _svg(width, height, f"{title}: {description}", marks)


def colour(i: int) -> str:
    """The colour of the i-th line, for legends."""
    return COLOURS[i % len(COLOURS)]


def _thin(values: pd.Series) -> pd.Series:
    """At most about `POINTS` values: means over equal stretches, which also calms the noise."""
    size = -(-len(values) // POINTS)
    group = np.arange(len(values)) // size
    return pd.Series(
        values.groupby(group).mean().to_numpy(),
        index=pd.Series(values.index, dtype=float).groupby(group).mean().to_numpy(),
    )


def _scale(low: float, high: float, start: float, end: float):
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _frame(width: int, height: int) -> list[str]:
    path = f"M44 26V{height - 24}H{width - 8}"
    return [f'<path d="{path}" fill="none" stroke="var(--line)"/>']


def _text(x: float, y: float, text: str, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight} '
        f'font-size="{13 if bold else 11}" fill="currentColor">{escape(text)}</text>'
    )


def _svg(width: int, height: int, description: str, marks: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(description, quote=True)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(marks)}</svg>'
    )

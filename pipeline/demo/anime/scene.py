"""Backdrops of the anime pages: rooms, skies, sparkles and rays, flat as the figures are."""

from __future__ import annotations

import numpy as np

from pipeline.demo.anime.pen import Colour, Pen, ellipse, hsv, mix, smooth
from pipeline.demo.attributes import FaceAttributes

_WHITE: Colour = (255, 255, 255)


def draw_scene(page: np.ndarray, face: FaceAttributes, rng: np.random.Generator) -> None:
    """Fill `page` (uint8 [H, W, 3], in place) with the backdrop that `face.background` names.

    "plain" is a wall or hills, "gradient" a sky by day or night, "bokeh" dots and stars, "bands"
    stripes or rays.
    """
    height, width = page.shape[:2]
    wide = width / height
    value = 0.72 + 0.26 * face.background_light
    near = hsv(face.background_hue, 0.30, value)
    far = hsv(face.background_hue + float(rng.uniform(0.04, 0.14)), 0.48, 0.72 * value)
    page[:] = near
    pen = Pen(page, (0, 0), height)
    draw = {"plain": _wall, "gradient": _sky, "bokeh": _sparkles, "bands": _rays}[face.background]
    draw(pen, wide, near, far, rng)


def _wall(pen: Pen, wide: float, near: Colour, far: Colour, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:  # hills
        for base, colour in ((0.45, mix(near, far, 0.45)), (0.66, far)):
            along = np.linspace(-0.1, wide + 0.1, max(int(wide * 4), 4))
            ridge = np.stack([along, base + rng.uniform(-0.14, 0.14, len(along))], 1)
            pen.fill(
                np.vstack([smooth(ridge, closed=False), [(wide + 0.2, 1.1), (-0.2, 1.1)]]), colour
            )
        return
    sky, frame = mix(near, (190, 225, 255), 0.6), mix(far, _WHITE, 0.25)
    x = float(rng.uniform(-0.25, 0.0))
    while x < wide:  # windows and shelves in turn
        w, top, low = (
            float(rng.uniform(*ends)) for ends in ((0.3, 0.5), (0.04, 0.2), (0.45, 0.75))
        )
        pane = [(x, top), (x + w, top), (x + w, low), (x, low)]
        pen.shape(pane, sky if rng.random() < 0.6 else far, frame, 0.018)
        pen.line([(x + w / 2, top), (x + w / 2, low)], frame, 0.014)
        x += w + float(rng.uniform(0.1, 0.4))
    pen.fill([(0, 0.82), (wide, 0.82), (wide, 1), (0, 1)], mix(far, (60, 40, 60), 0.3))


def _sky(pen: Pen, wide: float, near: Colour, far: Colour, rng: np.random.Generator) -> None:
    frame = [(0, 0), (wide, 0), (wide, 1), (0, 1)]
    if rng.random() < 0.35:  # night
        pen.gradient(frame, mix(far, (16, 14, 50), 0.75), mix(far, (60, 40, 90), 0.3))
        for _ in range(int(40 * wide)):
            r = float(rng.uniform(0.002, 0.006))
            pen.fill(
                ellipse(float(rng.uniform(0, wide)), float(rng.uniform(0, 0.9)), r, r, 8), _WHITE
            )
        x, y = float(rng.uniform(0, wide)), float(rng.uniform(0.08, 0.3))
        pen.fill(ellipse(x, y, 0.1, 0.1), (255, 244, 200))
        return
    pen.gradient(frame, far, mix(near, _WHITE, 0.4))
    for _ in range(int(rng.integers(3, 7))):
        x, y, s = (float(rng.uniform(*ends)) for ends in ((0, wide), (0.05, 0.75), (0.8, 1.9)))
        for dx, dy, r in ((-0.08, 0.01, 0.05), (0, -0.02, 0.07), (0.09, 0.01, 0.05)):
            pen.fill(ellipse(x + s * dx, y + s * dy, s * r * 1.3, s * r), _WHITE)


def _sparkles(pen: Pen, wide: float, near: Colour, far: Colour, rng: np.random.Generator) -> None:
    turns = np.pi * np.arange(10) / 5
    arms = np.where(np.arange(10) % 2 == 0, 1.6, 0.6)
    star = np.stack([arms * np.sin(turns), -arms * np.cos(turns)], 1)
    for _ in range(int(rng.integers(14, 34) * wide)):
        centre = (float(rng.uniform(0, wide)), float(rng.uniform(0, 1)))
        r = float(rng.uniform(0.012, 0.065))
        tint = mix(near, _WHITE, 0.6) if rng.random() < 0.6 else far
        pen.fill(ellipse(*centre, r, r) if rng.random() < 0.5 else star * r + centre, tint)


def _rays(pen: Pen, wide: float, near: Colour, far: Colour, rng: np.random.Generator) -> None:
    if rng.random() < 0.4:
        centre = (float(rng.uniform(0.2, 0.8)) * wide, float(rng.uniform(0.2, 1.0)))
        n = int(rng.integers(7, 13))
        for k in range(n):
            a, b = 2 * np.pi * k / n, 2 * np.pi * (k + 0.5) / n
            x, y, reach = *centre, 2 * wide + 2
            edge = [(x + reach * np.cos(t), y + reach * np.sin(t)) for t in (a, b)]
            pen.fill([centre, *edge], far)
        return
    step, slope = float(rng.uniform(0.08, 0.28)), float(rng.uniform(-0.8, 0.8))
    for k in range(-int(1 / step) - 1, int((wide + 1) / step) + 1, 2):
        x = k * step
        pen.fill([(x, 0), (x + step, 0), (x + step + slope, 1), (x + slope, 1)], far)

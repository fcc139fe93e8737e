"""What sites do to a picture they copy: they frame it, or put their mark on it."""

from __future__ import annotations

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX


def framed(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A border of 2 to 8 % of the side in any colour: all around, unevenly, or at two ends."""
    side = len(rgb)
    widths = [max(1, round(rng.uniform(0.02, 0.08) * side)) for _ in range(4)]
    even = widths[0]
    shapes = [[even] * 4, widths, [even, even, 0, 0], [0, 0, even, even]]
    top, bottom, left, right = shapes[rng.integers(4)]
    framed = cv2.copyMakeBorder(
        rgb, top, bottom, left, right, cv2.BORDER_CONSTANT, value=_any_colour(rng)
    )
    return cv2.resize(framed, (side, side), interpolation=cv2.INTER_AREA)


def _any_colour(rng: np.random.Generator) -> tuple[int, ...]:
    """White, black, or any, a third each."""
    return [(255,) * 3, (0,) * 3, tuple(rng.integers(0, 256, 3).tolist())][rng.integers(3)]


def marked(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mark in any colour, at least 40 % opaque: letters, a logo, a banner, or lines all over."""
    side = 256
    large = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_CUBIC)
    written, colour, kind = large.copy(), _any_colour(rng), rng.integers(4)
    if kind == 0:
        text = "sample.example"[: int(rng.integers(5, 14))]
        scale, thick = rng.uniform(0.7, 1.8), int(rng.integers(2, 6))
        (width, height), _ = cv2.getTextSize(text, FONT, scale, thick)
        place = (int(rng.uniform(0, max(1, side - width))), int(rng.uniform(height, side - 6)))
        cv2.putText(written, text, place, FONT, scale, colour, thick, cv2.LINE_AA)
    elif kind == 1:
        size = int(rng.uniform(40, 96))
        ends = (size // 2 + 4, side - 4 - size // 2)
        x, y = ends[rng.integers(2)], ends[rng.integers(2)]
        axes = (size // 2, int(size / 2 * rng.uniform(0.5, 1)))
        cv2.ellipse(written, (x, y), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        grey, place = (128,) * 3, (x - size // 3, y + size // 6)
        cv2.putText(written, "AB", place, FONT, size / 60, grey, 2, cv2.LINE_AA)
    elif kind == 2:
        height = int(rng.uniform(20, 52))
        y = (0, side - height)[rng.integers(2)]
        cv2.rectangle(written, (0, y), (side - 1, y + height), colour, -1)
        other, place = tuple(255 - value for value in colour), (6, y + height - 5)
        cv2.putText(written, "www.sample.example", place, FONT, 0.6, other, 1, cv2.LINE_AA)
    else:
        for y in (50, 135, 220):
            scale = rng.uniform(0.8, 1.1)
            cv2.putText(written, "sample.example", (0, y), FONT, scale, colour, 3, cv2.LINE_AA)
    opaque = rng.uniform(0.4, 1)
    mixed = cv2.addWeighted(large, 1 - opaque, written, opaque, 0)
    return cv2.resize(mixed, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)

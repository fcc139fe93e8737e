"""A pen for cel drawing: smooth outlines, flat fills, clipped shades, in a character's frame.

Points are [N, 2] arrays in the character's units (x right, y down, half a face width is 1);
the pen turns, scales and moves them to pixels. Colours are RGB bytes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # x, y, width, height
Points = Sequence[Sequence[float]] | np.ndarray
_SHIFT = 4  # OpenCV's fixed-point fraction bits: sixteenths of a pixel


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """The colour a fraction `t` of the way from `a` to `b`."""
    r, g, b_ = (round(x + (y - x) * t) for x, y in zip(a, b, strict=True))
    return r, g, b_


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """HSV in [0, 1] to RGB bytes."""
    r, g, b = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return r, g, b


def smooth(points: Points, *, closed: bool = True, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom curve through `points`, float64 [M, 2]."""
    p = np.asarray(points, float)
    p = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([p[:1], p, p[-1:]])
    a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.vstack([curve, p[-1:]])


def bend(
    start: Sequence[float], control: Sequence[float], end: Sequence[float], steps: int = 8
) -> np.ndarray:
    """A quadratic Bezier arc from `start` up to, not including, `end`, float64 [steps, 2]."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c = (np.asarray(p, float) for p in (start, control, end))
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def ellipse(cx: float, cy: float, rx: float, ry: float, steps: int = 28) -> np.ndarray:
    """An ellipse's outline, float64 [steps, 2]."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)


@dataclass
class Pen:
    """Draws on `image` (uint8 [H, W, 3], changed in place).

    `origin` is the frame's (0, 0) in pixels, `unit` the pixels of one unit, `angle` the turn in
    radians (clockwise on the image).
    """

    image: np.ndarray
    origin: tuple[float, float]
    unit: float
    angle: float = 0.0

    def to_pixels(self, points: Points) -> np.ndarray:
        """Points in the frame to pixel coordinates, float64 [N, 2]."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, sin], [-sin, cos]]) * self.unit
        return np.asarray(points, float) @ turn + self.origin

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.image, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: Points, colour: Colour, width: float, *, closed: bool = False) -> None:
        """Stroke a polyline `width` units wide."""
        pixels = max(round(width * self.unit), 1)
        cv2.polylines(
            self.image, [self._fixed(points)], closed, colour, pixels, cv2.LINE_AA, _SHIFT
        )

    def shape(self, points: Points, colour: Colour, outline: Colour, width: float = 0.035) -> None:
        """Fill a polygon and stroke its outline."""
        self.fill(points, colour)
        self.line(points, outline, width, closed=True)

    def shade(
        self,
        points: Points,
        within: Points,
        colour: Colour,
        opacity: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        """Fill the part of `points` that lies in `within`; `blur` (units) softens its edge."""
        reach = int(blur * self.unit)
        box = _common(self._box(points, reach), self._box(within))
        if box is None:
            return
        x, y, w, h = box
        mask = self._mask(points, box)
        if reach:
            mask = cv2.blur(mask, (2 * reach + 1,) * 2)
        mask = cv2.min(mask, self._mask(within, box))
        _blend(self.image[y : y + h, x : x + w], np.array(colour), mask, opacity)

    def gradient(self, points: Points, top: Colour, bottom: Colour, opacity: float = 1.0) -> None:
        """Fill a polygon with a vertical gradient over its own height."""
        box = self._box(points)
        if box is None:
            return
        x, y, w, h = box
        t = np.linspace(0, 1, h)[:, None, None]
        ramp = (1 - t) * np.array(top, float) + t * np.array(bottom, float)
        region = self.image[y : y + h, x : x + w]
        _blend(region, ramp, self._mask(points, box), opacity)

    def _fixed(self, points: Points) -> np.ndarray:
        return np.round(self.to_pixels(points) * (1 << _SHIFT)).astype(np.int32)

    def _box(self, points: Points, margin: int = 0) -> Box | None:
        pixels = self.to_pixels(points)
        height, width = self.image.shape[:2]
        low = np.clip(np.floor(pixels.min(0)) - 1 - margin, 0, (width, height)).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + 2 + margin, 0, (width, height)).astype(int)
        w, h = high - low
        return (int(low[0]), int(low[1]), int(w), int(h)) if w > 0 and h > 0 else None

    def _mask(self, points: Points, box: Box) -> np.ndarray:
        x, y, w, h = box
        mask = np.zeros((h, w), np.uint8)
        fixed = self._fixed(points) - np.array([x, y], np.int32) * (1 << _SHIFT)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
        return mask


def _common(a: Box | None, b: Box | None) -> Box | None:
    """Where two boxes overlap."""
    if a is None or b is None:
        return None
    x, y = max(a[0], b[0]), max(a[1], b[1])
    w, h = min(a[0] + a[2], b[0] + b[2]) - x, min(a[1] + a[3], b[1] + b[3]) - y
    return (x, y, w, h) if w > 0 and h > 0 else None


def _blend(region: np.ndarray, colours: np.ndarray, mask: np.ndarray, opacity: float) -> None:
    """Lay `colours` (broadcast to [H, W, 3], 0-255) over `region` by `mask` uint8 [H, W]."""
    weight = (mask.astype(np.float32) * np.float32(opacity / 255))[..., None]
    region += (
        np.round((colours.astype(np.float32) - region) * weight).astype(np.int16).astype(np.uint8)
    )

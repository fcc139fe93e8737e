"""Borders of one colour around a picture, which a copy may have and its original not."""

from __future__ import annotations

import numpy as np

MOST = 0.2  # of a side's pixels that a border may take at either end
TOLERANCE = 12  # levels by which a border's pixels may differ: compression leaves some
EVEN = 0.95  # share of a line's pixels that must be of the border's colour


def trim(rgb: np.ndarray) -> np.ndarray:
    """``rgb`` (uint8 [H, W, 3]) without its borders; itself where it has none.

    The line next to a border goes, too: a picture that was made smaller has both in it.
    """
    height, width = rgb.shape[:2]
    tall, wide = int(height * MOST), int(width * MOST)
    top, bottom = _border(rgb[:tall]), _border(rgb[::-1][:tall])
    middle = rgb[top : height - bottom].transpose(1, 0, 2)
    left, right = _border(middle[:wide]), _border(middle[::-1][:wide])
    if not (top or bottom or left or right):
        return rgb
    return np.ascontiguousarray(rgb[top : height - bottom, left : width - right])


def _border(lines: np.ndarray) -> int:
    """How many of the first ``lines`` (uint8 [N, L, 3], the outermost first) to take off."""
    if not lines.size:
        return 0
    colour = np.median(lines[0], axis=0)
    alike = np.abs(lines - colour).max(axis=2) <= TOLERANCE
    even = alike.mean(axis=1) >= EVEN
    count = len(lines) if even.all() else int(np.argmin(even))
    return min(count + 1, len(lines)) if count else 0

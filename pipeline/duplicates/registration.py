"""Are two faces the same picture, or variants of one? Laid over each other, their pixels tell."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

SIDE = 48  # pixels: enough to tell two faces apart, few enough to forgive compression
BLOCK = 6  # pixels a side of the blocks in which outlines are compared: about an eye's height
MAX_SCALE = 1.2  # a registration that scales by more than this matches something else
ECC_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)
COVERED = 0.7  # of a block's pixels that both pictures must show
SPOT = 3  # pixels a side of the spots that a watermark covers, or does not: its letters are small
UNMARKED = 0.7  # share of the spots that it leaves free


class Likeness(NamedTuple):
    """How alike two registered faces are: each in [-1, 1], and -1 where they do not fit."""

    correlation: float  # of the colours, each channel about its mean
    outline: float  # of the gradients' magnitudes, in the median block
    unmarked: float  # of the colours where the two differ least, `UNMARKED` of the picture


def shrink(rgb: np.ndarray) -> np.ndarray:
    """``rgb`` as `compare` wants it: uint8 [48, 48, 3]."""
    return cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def compare(first: np.ndarray, second: np.ndarray) -> Likeness:
    """How alike two faces are once laid over each other.

    The affine transform with the largest correlation of the grey values is found by ECC
    (Evangelidis & Psarakis 2008). Under it the colours, which grey values do not see, are
    correlated: brightness and contrast do not matter. Copies agree in them.

    Variants of a drawing need not, so the outlines are compared as well: the magnitude of the grey
    values' gradients, which another palette leaves as it was, is correlated in each block, and the
    median taken, which does not see the few blocks where an expression or a hat differs. Two
    portraits in one pose have alike colours, dark hair around a bright face, but no alike lines.

    A watermark or a logo changes a part and leaves the rest as it was. So the colours are also
    correlated where the two differ least. A mark may lead the registration astray: that is done
    without it, too, and the better one counts.

    Args:
        first, second: `shrink`'s results, roughly aligned already.
    """
    whole = np.full((SIDE, SIDE), True)
    in_place = _unmarked(first, second, whole)
    warp = _registered(first, second)
    if warp is None:
        return Likeness(-1.0, -1.0, in_place)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(np.where(whole, np.uint8(255), 0), warp, (SIDE, SIDE), flags=flags)
    shared, moved = shown == 255, cv2.warpAffine(second, warp, (SIDE, SIDE), flags=flags)
    one, other = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (first, moved))
    return Likeness(
        _correlation(first[shared], moved[shared]),
        _outline(one, other, shared),
        max(in_place, _unmarked(first, moved, shared)),
    )


def _registered(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """The affine transform, float32 [2, 3], that lays ``second`` over ``first``; None without."""
    one, other = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (first, second))
    whole, start = np.full((SIDE, SIDE), 255, np.uint8), np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, ECC_STEPS, whole, 5)
    except cv2.error:  # it did not converge: nothing in common
        return None
    scale = float(np.sqrt(abs(np.linalg.det(warp[:, :2]))))
    return np.asarray(warp) if 1 / MAX_SCALE <= scale <= MAX_SCALE else None


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of pixels uint8 [N, 3], each channel about its mean."""
    x, y = (values - values.mean(axis=0) for values in map(np.float64, (one, other)))
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum() + 1e-9))


def _unmarked(first: np.ndarray, second: np.ndarray, shared: np.ndarray) -> float:
    """The correlation in those `UNMARKED` of the spots of which the pixels differ least."""
    change = first.astype(np.float64) - second
    change -= np.median(change[shared], axis=0)  # brightness may have changed everywhere
    error = np.where(shared, (change**2).sum(axis=2), 0)
    counts = _blocks(shared, SPOT)
    spots = np.where(counts > 0, _blocks(error, SPOT) / np.maximum(counts, 1), np.inf)
    near = spots <= np.quantile(spots[counts > 0], UNMARKED)
    free = np.kron(near, np.ones((SPOT, SPOT), bool)) & shared
    return _correlation(first[free], second[free])


def _outline(first: np.ndarray, second: np.ndarray, shared: np.ndarray) -> float:
    """The median block's correlation of gradient magnitudes, of uint8 [48, 48] grey values."""
    # A pixel at the edge of what both show has no gradient.
    inside = cv2.erode(shared.astype(np.float32), np.ones((3, 3)), borderValue=0)
    counts = _blocks(inside, BLOCK)
    one, other = (_gradient(grey) * inside for grey in (first, second))

    def covariance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _blocks(x * y, BLOCK) * counts - _blocks(x, BLOCK) * _blocks(y, BLOCK)

    spread = np.maximum(covariance(one, one) * covariance(other, other), 0)
    covered = counts >= COVERED * BLOCK**2
    if not covered.any():
        return -1.0
    return float(np.median((covariance(one, other) / np.sqrt(spread + 1.0))[covered]))


def _gradient(grey: np.ndarray) -> np.ndarray:
    values = grey.astype(np.float32)
    return np.hypot(cv2.Sobel(values, cv2.CV_32F, 1, 0), cv2.Sobel(values, cv2.CV_32F, 0, 1))


def _blocks(values: np.ndarray, side: int) -> np.ndarray:
    """The sum of each block of ``side`` pixels a side: float64 [48 / side, 48 / side]."""
    count = SIDE // side
    return values.reshape(count, side, count, side).sum(axis=(1, 3), dtype=np.float64)

"""Are two faces the same picture? Laid over each other, their pixels tell."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 48  # pixels: enough to tell two faces apart, few enough to forgive compression
MAX_SCALE = 1.2  # a registration that scales by more than this matches something else
ECC_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two faces are once laid over each other: in [-1, 1], -1 where they do not fit.

    The affine transform with the largest correlation of the grey values is found by ECC
    (Evangelidis & Psarakis 2008); the colours, which grey values do not see, are then correlated
    under it, each channel about its mean, so that brightness and contrast do not matter.

    Args:
        one, other: RGB uint8 [H, W, 3], roughly aligned already.
    """
    side = (SIDE, SIDE)
    first, second = (cv2.resize(rgb, side, interpolation=cv2.INTER_AREA) for rgb in (one, other))
    grey = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (first, second)]
    whole, start = np.full(side, 255, np.uint8), np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(
            grey[0], grey[1], start, cv2.MOTION_AFFINE, ECC_STEPS, whole, 5
        )
    except cv2.error:  # it did not converge: nothing in common
        return -1.0
    scale = float(np.sqrt(abs(np.linalg.det(warp[:, :2]))))
    if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
        return -1.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shared = cv2.warpAffine(whole, warp, side, flags=flags) == 255
    pixels = [first[shared], cv2.warpAffine(second, warp, side, flags=flags)[shared]]
    x, y = (values - values.mean(axis=0) for values in map(np.float64, pixels))
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum() + 1e-9))

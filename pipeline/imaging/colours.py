"""Colours as people see them: the conversion to CIE L*a*b*."""

from __future__ import annotations

import cv2
import numpy as np


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b*, float32 [..., 3], of RGB 0–255 of any shape [..., 3].

    L* is in 0–100, a* and b* in about ±127.
    """
    values = np.asarray(rgb, np.float32)
    rows = values.reshape(-1, values.shape[-2] if values.ndim > 1 else 1, 3)
    return cv2.cvtColor(rows / 255, cv2.COLOR_RGB2LAB).reshape(values.shape)

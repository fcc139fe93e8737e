"""The gates that a found face has to pass to be kept: likely, large, upright, sharp, coloured."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.core.params import Align, Faces
from pipeline.faces.detect import Detection
from pipeline.imaging.colours import to_lab

GATES = ["unlikely", "small", "tilted", "border", "blurred", "greyscale"]  # in their order


def failed_gate(
    face: Detection, crop: np.ndarray, border: float, settings: Faces, align: Align
) -> tuple[str, float] | None:
    """The first of `GATES` that an aligned face does not pass, and the value that failed.

    Gates on eyes stop nothing that was taken without looking for them: no comparison holds of NaN.

    Args:
        crop: the aligned face, uint8 [S, S, 3].
        border: share of it that lay outside the picture, in [0, 1].
    """
    gates = [
        (face.likelihood, face.likelihood < settings.min_likelihood),
        (face.eye_distance, face.eye_distance < settings.min_eye_distance),
        (face.tilt, abs(face.tilt) > settings.max_tilt),
        (border, border > align.max_border),
        (sharp := sharpness(crop), sharp < settings.min_sharpness),
        (colour := colourfulness(crop), colour < settings.min_colour),
    ]
    failed = ((name, value) for name, (value, fails) in zip(GATES, gates, strict=True) if fails)
    return next(failed, None)


def sharpness(rgb: np.ndarray) -> float:
    """Variance of the Laplacian of the grey image (Pech-Pacheco et al. 2000)."""
    return float(cv2.Laplacian(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def colourfulness(rgb: np.ndarray) -> float:
    """Mean chroma in CIE Lab; about 0 for a greyscale picture."""
    lab = to_lab(rgb)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())

"""What is written down of a kept face, and the gates that it had to pass."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.core.params import Align, Faces
from pipeline.faces.detect import Detection
from pipeline.imaging.attributes import (
    ATTRIBUTES,
    COLOURS,
    UNKNOWN,
    from_tags,
    known_or_measured,
    nearest_colour,
)

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
    lab = _lab(rgb)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def places(face: Detection) -> dict[str, float]:
    """Box, eyes and mouth in pixels of the picture, and the tilt in degrees."""
    names = ["box_x", "box_y", "box_w", "box_h", "left_x", "left_y", "right_x", "right_y"]
    values = [*face.box, *face.eyes.ravel().tolist(), *face.mouth.tolist()]
    return dict(zip([*names, "mouth_x", "mouth_y"], values, strict=True)) | {
        "eye_distance": face.eye_distance,
        "tilt": face.tilt,
    }


def colours(face: Detection) -> dict[str, float]:
    """Hair, eye and skin colour in CIE Lab: ``hair_L`` (0–100), ``hair_a``, ``hair_b`` …; NaN where
    they were not measured."""
    return {
        f"{part}_{axis}": float(value)
        for part, rgb in _painted(face).items()
        for axis, value in zip(
            "Lab", _lab(rgb.reshape(1, 1, 3))[0, 0] if _is_known(rgb) else rgb, strict=True
        )
    }


def attributes(face: Detection, tags: str, page_faces: int) -> dict[str, str]:
    """Tags first, where they can only mean this face; measured colours otherwise."""
    known = from_tags(tags) if page_faces == 1 else dict.fromkeys(ATTRIBUTES, UNKNOWN)
    measured = {
        f"{part}_measured": nearest_colour(part, rgb) if _is_known(rgb) else UNKNOWN
        for part, rgb in _painted(face).items()
    }
    return known_or_measured(known, measured)


def _painted(face: Detection) -> dict[str, np.ndarray]:
    """RGB [3] of each of the vocabulary's `COLOURS`."""
    return dict(zip(COLOURS, (face.hair, face.iris, face.skin), strict=True))


def _is_known(rgb: np.ndarray) -> bool:
    return bool(np.isfinite(rgb).all())


def _lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)

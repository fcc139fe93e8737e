"""What is written down of a kept face: where it is, its colours and its attributes."""

from __future__ import annotations

import numpy as np

from pipeline.faces.detect import Detection
from pipeline.imaging import drawn_face, geometry
from pipeline.imaging.attributes import (
    ATTRIBUTES,
    COLOURS,
    UNKNOWN,
    from_tags,
    known_or_measured,
    mouth_bucket,
    nearest_colour,
)
from pipeline.imaging.colours import to_lab


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
        for axis, value in zip("Lab", to_lab(rgb) if _is_known(rgb) else rgb, strict=True)
    }


def attributes(face: Detection, mouth: str, tags: str, page_faces: int) -> dict[str, str]:
    """Tags first, where they can only mean this face; what was measured otherwise: its colours, and
    its ``mouth`` as `mouth_measured` tells it."""
    known = from_tags(tags) if page_faces == 1 else dict.fromkeys(ATTRIBUTES, UNKNOWN)
    measured = {
        f"{part}_measured": nearest_colour(part, rgb) if _is_known(rgb) else UNKNOWN
        for part, rgb in _painted(face).items()
    }
    return known_or_measured(known, measured | {"open_mouth_measured": mouth})


def mouth_measured(crop: np.ndarray, eye_distance: float) -> str:
    """Whether the mouth of an aligned drawing is open: ``yes``, ``no`` or ``unknown``.

    Args:
        crop: uint8 RGB [S, S, 3].
        eye_distance: of the eyes in the template, as a share of the side.
    """
    points = drawn_face.find(crop[None], eye_distance)
    return mouth_bucket(geometry.drawing_measures(points)["mouth_open"].item())


def _painted(face: Detection) -> dict[str, np.ndarray]:
    """RGB [3] of each of the vocabulary's `COLOURS`."""
    return dict(zip(COLOURS, (face.hair, face.iris, face.skin), strict=True))


def _is_known(rgb: np.ndarray) -> bool:
    return bool(np.isfinite(rgb).all())

"""Pose and expression as numbers, from points of a face: see docs/geometry.md for what they see.

Lengths are in distances between the eyes, so that the size of the face does not matter, and places
along and across the line through them, so that its tilt does not either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.imaging import drawn_face, mesh


class _Face(NamedTuple):
    """Points of N faces about the middle of the eyes, as complex numbers: x + i·y, y downwards."""

    places: np.ndarray  # [N, P]; the eyes lie at ∓1/2
    tilt: np.ndarray  # [N], degrees, positive when the image-right eye is the lower one


def mesh_measures(points: np.ndarray) -> pd.DataFrame:
    """Measures of photos' meshes [N, 468, 2] (see `mesh.FaceMesh`); a row of NaN for NaN.

    ``yaw``: how far the nose's tip is off the middle of the eyes, positive to the image's right.
    ``tilt``: degrees. ``mouth_open``: between the lips' inner edges. ``smile``: half the mouth's
    width, and how far its corners lie above its middle. ``eye_open``: between the lids, as a share
    of the eye's width; the mean of both eyes.
    """
    face = _seen_from_eyes(points, mesh.eye_centres(points))
    at = face.places
    right, left, upper, lower = (at[:, i] for i in mesh.MOUTH)
    lift = (upper + lower - right - left).imag / 2
    lids = [
        np.abs(at[:, low] - at[:, high]) / np.abs(at[:, outer] - at[:, inner])
        for outer, inner, high, low in (mesh.RIGHT_EYE, mesh.LEFT_EYE)
    ]
    return pd.DataFrame(
        {
            "yaw": at[:, mesh.NOSE].real,
            "tilt": face.tilt,
            "mouth_open": np.abs(lower - upper),
            "smile": np.abs(left - right) / 2 + lift,
            "eye_open": np.mean(lids, axis=0),
        }
    )


def drawing_measures(points: np.ndarray) -> pd.DataFrame:
    """Measures of drawings' points [N, 14, 2] (see `drawn_face.find`); a row of NaN for NaN.

    ``yaw``, ``tilt`` and ``mouth_open`` as in `mesh_measures`, the last from the mouth's box.
    There is no ``smile`` and no ``eye_open``: the width of the mouth's box has rank correlation .09
    with the smile of closed lips, and the boxes of the eyes .42 with eyes drawn from almost shut to
    wide open.
    """
    eyes = (drawn_face.LEFT_EYE, drawn_face.RIGHT_EYE)
    centres = np.stack([points[:, list(eye)].mean(axis=1) for eye in eyes], axis=1)
    face = _seen_from_eyes(points, centres)
    upper, lower = (face.places[:, i] for i in drawn_face.MOUTH[2:])
    return pd.DataFrame(
        {
            "yaw": face.places[:, drawn_face.NOSE].real,
            "tilt": face.tilt,
            "mouth_open": np.abs(lower - upper),
        }
    )


def _seen_from_eyes(points: np.ndarray, eyes: np.ndarray) -> _Face:
    left, right = (eyes[:, i, 0] + 1j * eyes[:, i, 1] for i in (0, 1))
    across, middle = right - left, (left + right) / 2
    places = points[..., 0] + 1j * points[..., 1]
    with np.errstate(invalid="ignore", divide="ignore"):  # no face, or both eyes in one place
        places = (places - middle[:, None]) / across[:, None]
    return _Face(places, np.where(across == 0, np.nan, np.angle(across, deg=True)))

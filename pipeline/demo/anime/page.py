"""Illustration pages: one to four anime characters side by side on a drawn background."""

from __future__ import annotations

from typing import TypedDict

import cv2
import numpy as np

from pipeline.demo.anime.character import draw_character
from pipeline.demo.anime.face import eye_positions
from pipeline.demo.anime.pen import Pen
from pipeline.demo.anime.scene import draw_scene
from pipeline.demo.attributes import FaceAttributes

_SUPERSAMPLE = 2
_CELL = (3.2, 4.35)  # units of width and height one character takes
_MARGIN = 0.35  # units of width a page adds
_EYE_LINE = 2.10  # units from the page's top to the eyes


class FaceRecord(TypedDict):
    """Where a face is on its page, in pixels: the head's box and the two eye centres."""

    x: float
    y: float
    width: float
    height: float
    left_eye_x: float
    left_eye_y: float
    right_eye_x: float
    right_eye_y: float


def page_size(n: int, unit: float) -> tuple[int, int]:
    """(width, height) of a page with `n` characters whose half face width is `unit` pixels."""
    return round((n * _CELL[0] + _MARGIN) * unit), round(_CELL[1] * unit)


def draw_page(
    faces: list[FaceAttributes], width: int, height: int, seed: int
) -> tuple[np.ndarray, list[FaceRecord]]:
    """Draw a whole page, characters from left to right.

    Returns (rgb uint8 [height, width, 3], one record per face in the same order). The box spans
    the face from the forehead to the chin and from cheek to cheek. Left and right are the image's.
    """
    rng = np.random.default_rng([seed, len(faces)])
    page = np.empty((height * _SUPERSAMPLE, width * _SUPERSAMPLE, 3), np.uint8)
    draw_scene(page, faces[0], rng)
    unit = min(width / (len(faces) * _CELL[0] + _MARGIN), height / _CELL[1])
    pens = []
    for i, face in enumerate(faces):
        x = (
            width / 2
            + unit * _CELL[0] * (i + 0.5 - len(faces) / 2)
            + unit * float(rng.uniform(-0.08, 0.08))
        )
        y = height - (_CELL[1] - _EYE_LINE) * unit + unit * float(rng.uniform(-0.06, 0.10))
        pens.append(
            Pen(
                page,
                (x * _SUPERSAMPLE, y * _SUPERSAMPLE),
                unit * _SUPERSAMPLE * (1 + 0.06 * face.scale),
                np.deg2rad(face.tilt),
            )
        )
    for pen, face in zip(pens, faces, strict=True):
        draw_character(pen, face)
    rgb = cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA)
    return rgb, [_record(pen, face) for pen, face in zip(pens, faces, strict=True)]


def _to_page(pixels: np.ndarray) -> np.ndarray:
    """Supersampled to page pixels; pixel centres are at whole numbers in both."""
    return (pixels + 0.5) / _SUPERSAMPLE - 0.5


def _record(pen: Pen, face: FaceAttributes) -> FaceRecord:
    eyes = _to_page(pen.to_pixels(eye_positions(face)))
    corners = _to_page(pen.to_pixels([(-1, -0.9), (1, -0.9), (1, 1), (-1, 1)]))
    low, high = corners.min(0), corners.max(0)
    numbers = [*low, *(high - low), *eyes[0], *eyes[1]]
    keys = FaceRecord.__annotations__
    return FaceRecord(**dict(zip(keys, map(float, numbers), strict=True)))  # type: ignore[typeddict-item]

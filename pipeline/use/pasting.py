"""Put a translated face back into the picture that it was cut from, at the picture's resolution."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.core.params import Align
from pipeline.imaging.align import eye_transform
from pipeline.use.faces import Face

SIDE = 256  # pixels at which the mask is drawn; it is soft, so more show nothing
GROW, SOFT = 0.1, 0.1  # of the mask beyond the outline, and its edge's σ, in eye distances


def paste(
    rgb: np.ndarray, faces: Sequence[Face], drawn: Sequence[np.ndarray], align: Align
) -> np.ndarray:
    """A copy of ``rgb`` in which each face is the translated one, with a soft edge.

    Args:
        rgb: uint8 [H, W, 3].
        faces: the N faces that were translated.
        drawn: their translations, uint8 [S, S, 3], aligned to the template of ``align``.
        align: the template; its size does not matter.
    """
    result = np.array(rgb)
    for face, picture in zip(faces, drawn, strict=True):
        _paste(result, face, picture, align)
    return result


def mask(face: Face, align: Align) -> np.ndarray:
    """What of the template's square is the face: float32 [256, 256] in [0, 1], 0 at the border.

    The convex hull of the outline, a little larger, with a soft edge.
    """
    square = align.model_copy(update={"size": SIDE})
    matrix = eye_transform(face.eyes[0], face.eyes[1], square)
    places = face.outline @ matrix[:, :2].T + matrix[:, 2]
    hull = cv2.convexHull(np.clip(places, -SIDE, 2 * SIDE).round().astype(np.int32))
    filled = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.float32), hull, 1.0)
    sigma, grow = (share * align.eye_distance * SIDE for share in (SOFT, GROW))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(grow) + 1,) * 2)
    filled = cv2.dilate(filled, kernel)
    edge = int(np.ceil(3 * sigma))
    inner = np.zeros_like(filled)
    inner[edge:-edge, edge:-edge] = filled[edge:-edge, edge:-edge]
    return cv2.GaussianBlur(inner, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)


def _paste(rgb: np.ndarray, face: Face, picture: np.ndarray, align: Align) -> None:
    """Blend one face into ``rgb``, in place."""
    side = max(1, round(face.eye_distance / align.eye_distance))  # of the square, in its pixels
    if side < len(picture):
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    low, high = _region(face, align, rgb.shape)
    if (low >= high).any():
        return
    drawn = _back(picture, face, align, low, high, cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101)
    alpha = _back(mask(face, align), face, align, low, high, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    part[:] = np.round(part + (drawn.astype(np.float32) - part) * alpha[..., None])


def _region(face: Face, align: Align, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that the template's square covers: first and beyond last (x, y)."""
    unit = eye_transform(face.eyes[0], face.eyes[1], align)
    back = cv2.invertAffineTransform(unit)
    ends = (-0.5, align.size - 0.5)
    corners = np.array([(x, y) for x in ends for y in ends]) @ back[:, :2].T + back[:, 2]
    size = np.array(shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
    return low, np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int)


def _back(
    square: np.ndarray,
    face: Face,
    align: Align,
    low: np.ndarray,
    high: np.ndarray,
    way: int,
    border: int,
) -> np.ndarray:
    """What the pixels ``low`` … ``high`` of the picture are in an aligned square [S, S, …]."""
    here = align.model_copy(update={"size": len(square)})
    matrix = eye_transform(face.eyes[0], face.eyes[1], here)
    matrix[:, 2] += matrix[:, :2] @ low
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    return cv2.warpAffine(square, matrix, size, flags=way | cv2.WARP_INVERSE_MAP, borderMode=border)

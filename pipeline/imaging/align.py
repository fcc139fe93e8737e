"""Bring a face onto the one template that photos and drawings share: two eyes at fixed places.

``left`` and ``right`` are the **image's**: the left eye is the one with the smaller x (the person's
right eye, which YuNet lists first and animeface last). Coordinates are in pixels with (0, 0) the
centre of the top-left pixel, as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.core.params import Align


def template_eyes(align: Align) -> np.ndarray:
    """Where the eyes go: float64 [2, 2] as (left, right) rows of (x, y) pixels."""
    return template_places(align) * align.size - 0.5


def template_places(align: Align) -> np.ndarray:
    """As `template_eyes`, in shares of the side, whatever that is."""
    half = align.eye_distance / 2
    return np.array([(0.5 - half, align.eye_line), (0.5 + half, align.eye_line)])


def eye_transform(left_eye: np.ndarray, right_eye: np.ndarray, align: Align) -> np.ndarray:
    """The similarity (scale, rotation, shift) that takes two eyes onto the template.

    Two point pairs determine it exactly: with points as complex numbers it is z → a·z + b.

    Args:
        left_eye, right_eye: [2], (x, y) in pixels of the source, the image-left one first.

    Returns:
        float64 [2, 3], source → template, as ``cv2.warpAffine`` takes it.
    """
    source = [complex(*left_eye), complex(*right_eye)]
    target = [complex(*eye) for eye in template_eyes(align)]
    a = (target[1] - target[0]) / (source[1] - source[0])
    b = target[0] - a * source[0]
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def align_face(rgb: np.ndarray, eyes: np.ndarray, align: Align) -> tuple[np.ndarray, float]:
    """Cut out the face whose ``eyes`` are given, upright, in one interpolation.

    Shrinking by a factor f first blurs with σ = 0.5·√(f² − 1), which takes a picture that is sharp
    at the source's sampling (σ ≈ 0.5) to one that is sharp at the template's (Lowe 2004, §3.3);
    without it, hair and lashes alias. What lies outside the image is mirrored in.

    Args:
        rgb: uint8 [H, W, 3].
        eyes: [2, 2], (x, y) of the image-left and the image-right eye.

    Returns:
        The face, uint8 [S, S, 3], and the share of it that lies outside the image, in [0, 1].
    """
    matrix = eye_transform(eyes[0], eyes[1], align)
    grid = np.mgrid[: align.size, : align.size][::-1].reshape(2, -1)  # (x, y) of every pixel
    inverse = cv2.invertAffineTransform(matrix)
    places = inverse[:, :2] @ grid + inverse[:, 2:]
    height, width = rgb.shape[:2]
    limits = np.array([[width], [height]]) - 0.5
    border = 1.0 - ((places >= -0.5) & (places <= limits)).all(axis=0).mean()

    shrink = np.hypot(inverse[0, 0], inverse[1, 0])
    sigma = 0.5 * np.sqrt(shrink**2 - 1) if shrink > 1 else 0.0
    margin = 4 + int(4 * sigma)
    low = np.floor(places.min(axis=1)).astype(int) - margin
    high = np.ceil(places.max(axis=1)).astype(int) + margin + 1
    # Only the part that is needed, so that a 50-megapixel page costs no more than a small one.
    part = rgb[np.ix_(_mirror(low[1], high[1], height), _mirror(low[0], high[0], width))]
    if sigma > 0:
        part = cv2.GaussianBlur(part, (0, 0), sigma)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ low
    size = (align.size, align.size)
    return cv2.warpAffine(part, shifted, size, flags=cv2.INTER_CUBIC), float(border)


def surroundings(
    rgb: np.ndarray, eyes: np.ndarray, reach: float, most: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The part of a picture around a face, no finer than it is needed.

    Args:
        rgb: uint8 [H, W, 3].
        eyes: [2, 2], (x, y).
        reach: of the part to each side of the eyes' middle, in eye distances.
        most: pixels between the eyes; where there are more, the part is made smaller.

    Returns:
        uint8 [h, w, 3], its first pixel in the picture (x, y), and its pixels per pixel there [2]:
        a place p of the picture is at ``(p - first + 0.5) * scale - 0.5``.
    """
    size = np.array(rgb.shape[1::-1])
    distance = max(float(np.linalg.norm(eyes[1] - eyes[0])), 1.0)
    middle = eyes.mean(axis=0)
    low = np.clip(np.floor(middle - reach * distance), 0, size - 1).astype(int)
    high = np.clip(np.ceil(middle + reach * distance) + 1, low + 1, size).astype(int)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    if distance <= most:
        return part, low, np.ones(2)
    small = np.maximum(np.round((high - low) * most / distance), 1).astype(int)
    part = cv2.resize(part, small.tolist(), interpolation=cv2.INTER_AREA)
    return part, low, small / (high - low)


def _mirror(start: int, stop: int, length: int) -> np.ndarray:
    """Indices ``start`` … ``stop`` into ``length`` pixels, mirrored at both ends (reflect 101)."""
    period = max(2 * (length - 1), 1)
    index = np.abs(np.arange(start, stop)) % period
    return np.minimum(index, period - index) if length > 1 else np.zeros_like(index)

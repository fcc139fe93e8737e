"""The ways a page comes back a second time on the web, with its faces' places kept track of."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.core.tables import encode_jpeg, encode_png
from pipeline.demo.anime.page import FaceRecord

COPY_KINDS = ("exact", "reencoded", "resized", "cropped", "mirrored", "recoloured")
JPEG, PNG = "image/jpeg", "image/png"


@dataclass(frozen=True)
class Picture:
    """An encoded page: file bytes, MIME type, size in pixels, and where its faces are."""

    data: bytes
    content_type: str
    width: int
    height: int
    faces: tuple[FaceRecord, ...]


def encode(rgb: np.ndarray, faces: list[FaceRecord], content_type: str, quality: int) -> Picture:
    """Encode a page uint8 [H, W, 3]; `quality` (0-100) is JPEG's."""
    data = encode_png(rgb) if content_type == PNG else encode_jpeg(rgb, quality)
    return Picture(data, content_type, rgb.shape[1], rgb.shape[0], tuple(faces))


def make_copy(kind: str, original: Picture, rgb: np.ndarray, rng: np.random.Generator) -> Picture:
    """A copy of the page `rgb` (whose encoding is `original`) of one of `COPY_KINDS`."""
    height, width = rgb.shape[:2]
    faces = list(original.faces)
    quality = int(rng.integers(82, 94))
    if kind == "exact":
        return original
    if kind == "reencoded":
        return encode(rgb, faces, JPEG, int(rng.integers(58, 80)))
    if kind == "resized":
        scale = float(rng.choice([0.75, 0.85, 1.25]))
        size = (round(width * scale), round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        faces = [_scale(face, size[0] / width, size[1] / height) for face in faces]
        return encode(cv2.resize(rgb, size, interpolation=way), faces, JPEG, quality)
    if kind == "cropped":
        left, right = (int(f * width) for f in rng.uniform(0.005, 0.025, 2))
        top, bottom = (int(f * height) for f in rng.uniform(0.005, 0.03, 2))
        cut = np.ascontiguousarray(rgb[top : height - bottom, left : width - right])
        return encode(cut, [_shift(face, -left, -top) for face in faces], JPEG, quality)
    if kind == "mirrored":
        return encode(cv2.flip(rgb, 1), [_mirror(face, width) for face in faces], JPEG, quality)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(3, 6) * rng.choice([-1, 1])) % 180
    hsv[..., 2] = np.clip(hsv[..., 2] * rng.choice([0.86, 1.12]), 0, 255)
    recoloured = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return encode(recoloured, faces, JPEG, quality)


def _scale(face: FaceRecord, sx: float, sy: float) -> FaceRecord:
    """A face's place in the page scaled by `sx`, `sy` (pixel centres are at whole numbers)."""
    moved = dict(face)
    for key, value in face.items():
        assert isinstance(value, float)
        scale = sx if key == "width" or key.endswith("x") else sy
        offset = 0.0 if key in ("width", "height") else 0.5
        moved[key] = (value + offset) * scale - offset
    return FaceRecord(**moved)  # type: ignore[typeddict-item]


def _shift(face: FaceRecord, dx: float, dy: float) -> FaceRecord:
    step = {"x": dx, "y": dy}
    moved = {key: value + step.get(key[-1], 0) for key, value in face.items()}  # type: ignore[operator]
    return FaceRecord(**moved)  # type: ignore[typeddict-item]


def _mirror(face: FaceRecord, width: int) -> FaceRecord:
    return FaceRecord(
        x=width - 1 - face["x"] - face["width"],
        y=face["y"],
        width=face["width"],
        height=face["height"],
        left_eye_x=width - 1 - face["right_eye_x"],
        left_eye_y=face["right_eye_y"],
        right_eye_x=width - 1 - face["left_eye_x"],
        right_eye_y=face["left_eye_y"],
    )

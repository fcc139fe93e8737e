"""Aligned faces whose geometry is known: drawn ones by attributes, real ones by CelebA's labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.celeba.layout import SIZE, TEMPLATE_EYES
from pipeline.core.params import Align
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import FaceAttributes
from pipeline.demo.photo.picture import draw_photo
from pipeline.imaging.align import align_face, template_eyes
from pipeline.imaging.images import read_rgb

ROOT = Path(__file__).resolve().parents[3]
MESH = ROOT / ".cache/weights/mediapipe-0.10.21/face_landmark.tflite"
CELEBA = ROOT / "../shared/data/celeba"
ALIGN = Align(size=64, eye_distance=0.26, eye_line=0.5, max_border=0.3)  # as params.yaml has it
EYES = (template_eyes(ALIGN) + 0.5) / ALIGN.size  # as shares of the side
UNIT = 48  # pixels of half a face's width where it is drawn: eyes 42 apart, 17 once aligned

needs_mesh = pytest.mark.skipif(not MESH.exists(), reason="needs face2anime doctor --fetch")
needs_celeba = pytest.mark.skipif(not CELEBA.exists(), reason="needs ../shared/data")


def drawn_photos(faces: Sequence[FaceAttributes], level: bool = True) -> np.ndarray:
    """Photo-like faces, uint8 [N, 64, 64, 3]; with ``level`` their eyes are."""
    aligned = []
    for face in faces:
        rgb, marks = draw_photo(face)
        eyes = [(marks[f"{side}eye_x"], marks[f"{side}eye_y"]) for side in ("left", "right")]
        aligned.append(_cut(rgb, np.array(eyes), level))
    return np.stack(aligned)


def drawn_anime(faces: Sequence[FaceAttributes], level: bool = True) -> np.ndarray:
    """Anime-like faces, uint8 [N, 64, 64, 3]; with ``level`` their eyes are."""
    aligned = []
    for i, face in enumerate(faces):
        rgb, (record,) = draw_page([face], *page_size(1, UNIT), seed=i)
        eyes = [(record[f"{side}_eye_x"], record[f"{side}_eye_y"]) for side in ("left", "right")]
        aligned.append(_cut(rgb, np.array(eyes), level))
    return np.stack(aligned)


def _cut(rgb: np.ndarray, eyes: np.ndarray, level: bool) -> np.ndarray:
    half = np.array([np.linalg.norm(eyes[1] - eyes[0]) / 2, 0])
    straight = np.stack([eyes.mean(axis=0) - half, eyes.mean(axis=0) + half])
    return align_face(rgb, eyes if level else straight, ALIGN)[0]


def real_photos(start: int, count: int) -> tuple[np.ndarray, pd.DataFrame]:
    """CelebA's faces ``start`` … as uint8 [N, 64, 64, 3], and their labels (bool)."""
    with ZipFile(CELEBA / "img_align_celeba.zip") as images:
        names = [f"img_align_celeba/{i + 1:06d}.jpg" for i in range(start, start + count)]
        pictures = [read_rgb(images.read(name)) for name in names]
    eyes = [(TEMPLATE_EYES + 0.5) * (x.shape[1], x.shape[0]) / SIZE - 0.5 for x in pictures]
    faces = [align_face(x, pair, ALIGN)[0] for x, pair in zip(pictures, eyes, strict=True)]
    labels = pd.read_csv(CELEBA / "list_attr_celeba.txt", sep=r"\s+", skiprows=1)
    return np.stack(faces), labels.iloc[start : start + count].reset_index(drop=True) > 0


def moved(images: np.ndarray, mouth: float = 0.0, eye: float = 0.0) -> np.ndarray:
    """Faces twisted by pixels: the part from below the nose to the right, the left eye downwards.

    Args:
        images: uint8 [N, 64, 64, 3], aligned by `ALIGN`.
    """
    y, x = np.mgrid[: ALIGN.size, : ALIGN.size].astype(np.float32)
    (eye_x, eye_y), _ = template_eyes(ALIGN)
    lower = np.clip((y - 38) / 6, 0, 1)
    around = np.exp(-(((x - eye_x) / 7) ** 2) - ((y - eye_y) / 6) ** 2)
    places = (x - mouth * lower).astype(np.float32), (y - eye * around).astype(np.float32)
    way = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT}
    return np.stack([cv2.remap(rgb, *places, **way) for rgb in images])

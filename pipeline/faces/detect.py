"""Find anime faces in pictures of any size with ``animeface`` (T. Shibata's nvxs, Apache-2.0).

It finds faces whose eyes are about 20 to 100 pixels apart, so a large picture is scaled down first,
and looked at smaller still where nothing was found: a close-up is too large for it otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import animeface
import cv2
import numpy as np

from pipeline.core.errors import StageError
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from pipeline.imaging import animeface_process
from pipeline.imaging.colours import iris_colour

MIN_LOOK = 96  # pixels: a smaller picture than this holds no face it could find
GREY = (128, 128, 128)


@dataclass(frozen=True)
class Detection:
    """A face in a picture; places in the picture's pixels, (0, 0) the first pixel's centre.

    Eyes, mouth and colours are NaN where nothing looked for them.
    """

    box: tuple[float, float, float, float]  # x, y, width, height
    likelihood: float  # in [0, 1]
    eyes: np.ndarray  # [2, 2], (x, y) of the image-left and the image-right eye
    mouth: np.ndarray  # [2], (x, y) of its middle
    hair: np.ndarray  # [3] RGB, 0–255, as the detector measured it
    skin: np.ndarray  # [3] RGB, 0–255, as the detector measured it
    iris: np.ndarray  # [3] RGB, 0–255, see `iris_colour`

    @property
    def eye_distance(self) -> float:
        """Pixels between the eyes: the face's scale."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))

    @property
    def tilt(self) -> float:
        """Degrees in [-90, 90]; positive when the image-right eye is the lower one."""
        across, down = self.eyes[1] - self.eyes[0]
        return float(np.degrees(np.arctan2(down, across)))


def detect(rgb: np.ndarray, detect_size: int, pad: float, enlarge: float = 1.0) -> list[Detection]:
    """All faces that ``animeface`` finds, from left to right.

    Args:
        rgb: uint8 [H, W, 3].
        detect_size: pixels of the longest side at the first look, at most; then half of it, a
            quarter … until something is found, which costs a third more at most.
        pad: grey border on every side, as a fraction of the longest side; a tight crop needs it.
        enlarge: how many times a picture smaller than ``detect_size`` is enlarged, at most.
    """
    longest = max(rgb.shape[:2])
    look = float(min(detect_size, longest * enlarge))
    while True:
        found = _look(rgb, look / longest, pad)
        look /= 2
        if found or look < MIN_LOOK:
            return sorted(found, key=lambda face: face.box)


def check_detector(detect_size: int) -> None:
    """Find a face in a drawing that has one. Raises StageError when the detector is blind."""
    width, height = page_size(1, 100)
    page, _ = draw_page(sample_faces(1, 0, "anime"), width, height, 0)
    if not detect(page, min(detect_size, height), 0.0):
        raise StageError(
            "animeface finds no face in a drawing that has one: with Pillow 12 it finds nothing "
            "and says nothing (pip install 'pillow<12')"
        )


def _look(rgb: np.ndarray, scale: float, pad: float) -> list[Detection]:
    border = round(pad * scale * max(rgb.shape[:2]))
    size = [max(1, round(side * scale)) for side in rgb.shape[1::-1]]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(rgb, size, interpolation=way)
    small = cv2.copyMakeBorder(
        small, border, border, border, border, cv2.BORDER_CONSTANT, value=GREY
    )
    scales = np.array(size) / rgb.shape[1::-1]
    faces = [_detection(face, border, scales, rgb) for face in animeface_process.look(small)]
    return [face for face in faces if face.eye_distance > 0]


def _detection(face: animeface.Face, border: int, scales: np.ndarray, rgb: np.ndarray) -> Detection:
    """The detector's ``left_eye`` is the person's; ours is the one with the smaller x."""
    parts = (face.left_eye, face.right_eye, face.mouth)
    *pair, mouth = (
        (part.pos.x + part.pos.width / 2, part.pos.y + part.pos.height / 2) for part in parts
    )
    eyes = (np.array(sorted(pair)) - border) / scales - 0.5
    box = face.face.pos
    corner = (np.array([box.x, box.y]) - border) / scales
    extent = np.array([box.width, box.height]) / scales
    return Detection(
        box=(float(corner[0]), float(corner[1]), float(extent[0]), float(extent[1])),
        likelihood=float(face.likelihood),
        eyes=eyes,
        mouth=(np.array(mouth) - border) / scales - 0.5,
        hair=_rgb(face.hair.color),
        skin=_rgb(face.skin.color),
        iris=iris_colour(rgb, eyes),
    )


def _rgb(colour: animeface.Color) -> np.ndarray:
    return np.array([colour.r, colour.g, colour.b], float)

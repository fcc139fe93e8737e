"""Points of drawn faces: where they are drawn, the same in a mirror, and none where none is."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo.attributes import sample_faces
from pipeline.imaging import drawn_face
from pipeline.imaging.animeface_process import EndlessError
from tests.pipeline.evaluate.aligned_faces import ALIGN, EYES, drawn_anime

TEMPLATE = EYES * ALIGN.size - 0.5


@pytest.fixture(scope="module")
def drawings() -> np.ndarray:
    return drawn_anime(sample_faces(12, 3, "anime"))


@pytest.fixture(scope="module")
def points(drawings) -> np.ndarray:
    return drawn_face.find(drawings, ALIGN.eye_distance)


def test_eyes_are_on_the_template_and_the_rest_below_them(points) -> None:
    found = np.isfinite(points).all(axis=(1, 2))
    assert found.mean() > 0.9
    boxes = [
        points[found][:, list(box)].mean(axis=1)
        for box in (drawn_face.LEFT_EYE, drawn_face.RIGHT_EYE, drawn_face.MOUTH)
    ]
    assert np.abs(np.stack(boxes[:2], axis=1) - TEMPLATE).mean() < 2  # pixels
    nose, chin = points[found][:, drawn_face.NOSE], points[found][:, drawn_face.CHIN]
    eyes, mouth = boxes[0][:, 1], boxes[2][:, 1]
    assert (eyes < nose[:, 1]).all() and (nose[:, 1] < mouth).all() and (mouth < chin[:, 1]).all()


def test_a_mirrored_drawing_has_mirrored_points(drawings, points) -> None:
    mirrored = drawn_face.find(drawings[:, :, ::-1], ALIGN.eye_distance)
    both = np.isfinite(points[:, 0, 0]) & np.isfinite(mirrored[:, 0, 0])
    back = mirrored[both] * (-1, 1) + (ALIGN.size - 1, 0)
    order = [*range(4, 8), *range(0, 4), *range(8, 14)]
    edges = [1, 0, 2, 3, 5, 4, 6, 7, 9, 8, 10, 11, 12, 13]  # left and right of each box
    assert np.abs(back[:, order][:, edges] - points[both]).mean() < 0.1


def test_no_face_and_a_look_without_an_end_are_nan(drawings, monkeypatch) -> None:
    blank = np.full((1, 64, 64, 3), 200, np.uint8)
    assert np.isnan(drawn_face.find(blank, ALIGN.eye_distance)).all()

    def endless(rgb: np.ndarray, limit: float) -> list:
        raise EndlessError

    monkeypatch.setattr(drawn_face, "look", endless)
    assert np.isnan(drawn_face.find(drawings[:2], ALIGN.eye_distance)).all()
    assert drawn_face.find(drawings[:0], ALIGN.eye_distance).shape == (0, drawn_face.POINTS, 2)

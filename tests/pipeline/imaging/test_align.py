"""Faces land on the template, without aliasing, and what was not in the picture is measured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.core.params import Align
from pipeline.imaging.align import align_face, eye_transform, template_eyes

ALIGN = Align(size=64, eye_distance=0.26, eye_line=0.5, max_border=0.2)


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (width, height))


def centre_of(mask: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(mask)
    return np.array([x.mean(), y.mean()])


@pytest.mark.parametrize("eyes", [((10, 20), (50, 20)), ((80, 90), (60, 30)), ((3, 9), (5, 14))])
def test_transform_takes_both_eyes_onto_the_template_and_keeps_shapes(eyes) -> None:
    left, right = np.array(eyes, float)
    matrix = eye_transform(left, right, ALIGN)
    moved = np.stack([left, right]) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(moved, template_eyes(ALIGN), atol=1e-9)
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, scale**2 * np.eye(2), atol=1e-9)


@pytest.mark.parametrize("distance", [12, 40, 160])
def test_drawn_eyes_are_where_the_template_wants_them(distance: int) -> None:
    image = np.full((1000, 1000, 3), 255, np.uint8)
    eyes = np.array([(450, 510), (450 + distance, 510 - distance // 4)])
    for eye, colour in zip(eyes, [(255, 0, 0), (0, 0, 255)], strict=True):
        cv2.circle(image, eye.tolist(), max(2, distance // 8), colour, -1, cv2.LINE_AA)
    face, border = align_face(image, eyes, ALIGN)
    found = [centre_of((face[..., 1] < 128) & (face[..., channel] > 160)) for channel in (0, 2)]
    np.testing.assert_allclose(found, template_eyes(ALIGN), atol=0.6)
    assert border == 0


def test_border_share_is_the_part_outside_the_picture() -> None:
    image = smooth_picture(64, 64)
    eyes = template_eyes(ALIGN)
    assert align_face(image, eyes, ALIGN)[1] == 0
    moved, border = align_face(image, eyes - (16, 0), ALIGN)  # a quarter of it is beyond the left
    assert border == pytest.approx(0.25)
    # The picture is mirrored about its first column, which now stands at 16.
    np.testing.assert_array_equal(moved[:, 16:], image[:, :48])
    np.testing.assert_array_equal(moved[:, :16], image[:, 16:0:-1])


def test_border_far_outside_is_mirrored_as_opencv_does_it() -> None:
    image = smooth_picture(40, 30)
    eyes = np.array([(2.0, 5.0), (14.0, 3.0)])
    face, border = align_face(image, eyes, ALIGN)
    matrix = eye_transform(*eyes, ALIGN)
    expected = cv2.warpAffine(
        image, matrix, (64, 64), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    assert border > 0.3
    assert np.abs(face.astype(int) - expected).max() <= 2  # coordinates are rounded to 1/32 pixel


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::3] = 255  # a mean of 85, far finer than the template's pixels
    eyes = template_eyes(ALIGN) * 8 + 3.5  # shrinks by 8
    face, _ = align_face(stripes, eyes, ALIGN)
    naive = cv2.warpAffine(stripes, eye_transform(*eyes, ALIGN), (64, 64), flags=cv2.INTER_CUBIC)
    assert face.std() < 5 < 20 < naive.std()
    assert face.mean() == pytest.approx(85, abs=2)


def test_a_part_of_a_page_gives_the_same_face() -> None:
    page = smooth_picture(900, 700)
    eyes = np.array([(300.0, 400.0), (390.0, 410.0)])
    whole, _ = align_face(page, eyes, ALIGN)
    part, _ = align_face(page[150:750, 50:650], eyes - (50, 150), ALIGN)
    assert np.abs(whole.astype(int) - part).max() <= 1

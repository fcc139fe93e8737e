"""Translated faces, put back where they came from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.core.params import Align
from pipeline.imaging.align import align_face
from pipeline.use.drawing import cut
from pipeline.use.faces import Face
from pipeline.use.pasting import mask, paste

ALIGN = Align(size=64, eye_distance=0.3, eye_line=0.5, max_border=1.0)


def ground(height: int = 300, width: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def face(x: float, y: float, distance: float, degrees: float = 0.0) -> Face:
    """A face whose outline is an ellipse around and below the eyes."""
    turn = np.radians(degrees)
    along = np.array([np.cos(turn), np.sin(turn)]) * distance
    down = np.array([-along[1], along[0]])
    middle = np.array([x, y])
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)[:, None]
    outline = middle + 0.3 * down + np.cos(angles) * along + np.sin(angles) * 1.1 * down
    return Face(np.stack([middle - along / 2, middle + along / 2]), outline)


@pytest.mark.parametrize("degrees", [0.0, 25.0, -90.0])
@pytest.mark.parametrize("size", [512, 64])
def test_an_untouched_face_comes_back_to_its_place(degrees: float, size: int) -> None:
    rgb, one = ground(), face(200, 140, 60, degrees)
    crop, _ = align_face(rgb, one.eyes, ALIGN.model_copy(update={"size": size}))
    back = paste(rgb, [one], [crop], ALIGN).astype(int)
    # At 64 pixels the crop is three times coarser than the picture.
    assert np.abs(back - rgb).mean() < (0.5 if size == 512 else 2)
    shifted = paste(rgb, [one], [np.roll(crop, size // 16, axis=1)], ALIGN).astype(int)
    assert np.abs(shifted - rgb).mean() > 2 * np.abs(back - rgb).mean()


def test_only_the_face_changes_and_its_edge_is_soft() -> None:
    rgb, one = np.full((300, 400, 3), 200, np.uint8), face(200, 140, 60)
    back = paste(rgb, [one], [np.zeros((128, 128, 3), np.uint8)], ALIGN)
    assert back.shape == rgb.shape and (rgb == 200).all()
    assert (back[150, 200] == 0).all()  # between eyes and mouth
    y, x = np.mgrid[:300, :400]
    far = ((x - 200) / 100) ** 2 + ((y - 158) / 110) ** 2 > 1
    assert (back[far] == 200).all()
    steps = np.abs(np.diff(back[150, :, 0].astype(int)))
    assert 0 < steps.max() < 40 and len(np.unique(back[150, :, 0])) > 10


def test_faces_at_the_edge_beyond_it_and_in_a_dot() -> None:
    rgb = ground()
    black = np.zeros((64, 64, 3), np.uint8)
    for one in (face(2, 3, 60), face(398, 299, 60, 40), face(-900, 20, 30), face(200, 150, 900)):
        assert paste(rgb, [one], [black], ALIGN).shape == rgb.shape
    assert paste(rgb[:1, :1], [face(0, 0, 20)], [black], ALIGN).shape == (1, 1, 3)


def test_the_mask_ends_within_the_square() -> None:
    alpha = mask(face(100, 100, 50), ALIGN)
    assert alpha.min() >= 0 and alpha.max() <= 1.0001 and alpha[128, 128] > 0.99
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() < 0.01
    wide = Face(
        np.array([(75.0, 100.0), (125.0, 100.0)]),
        np.array([(-500.0, -500), (500, 900), (900, -500)]),
    )
    alpha = mask(wide, ALIGN)
    assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max()) < 0.01


def test_a_huge_face_is_cut_out_as_a_small_one_is() -> None:
    """Shrunk in two steps, and one of them cheap, it looks as by `align_face` alone."""
    rgb = cv2.resize(ground(), (3200, 2400), interpolation=cv2.INTER_CUBIC)
    one = face(1500, 1200, 700, 12)
    whole, _ = align_face(rgb, one.eyes, ALIGN)
    (quick,) = cut(rgb, [one.eyes], ALIGN)
    assert np.abs(quick.astype(int) - whole).mean() < 1.5
    corner = face(20, 30, 700)  # above and left of it there is no picture
    quick, whole = cut(rgb, [corner.eyes], ALIGN)[0], align_face(rgb, corner.eyes, ALIGN)[0]
    assert np.abs(quick.astype(int) - whole)[34:, 34:].mean() < 1.5
    near = face(150, 140, 60)  # as fine as `align_face` may have it
    exact, _ = align_face(rgb, near.eyes, ALIGN)
    np.testing.assert_array_equal(cut(rgb, [near.eyes], ALIGN)[0], exact)

"""The face mesh: the square it looks at, and points that sit on drawn and real photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import StageError
from pipeline.demo.attributes import sample_faces
from pipeline.imaging import mesh
from tests.pipeline.evaluate.aligned_faces import ALIGN, EYES, MESH, drawn_photos, needs_mesh

TEMPLATE = EYES * ALIGN.size - 0.5


@pytest.mark.parametrize("eyes", [((20, 30), (44, 30)), ((50, 60), (90, 20)), ((9, 9), (8, 30))])
def test_square_has_the_eyes_level_and_a_third_of_it_apart(eyes) -> None:
    pair = np.array(eyes, float)
    matrix = mesh.upright_square(pair)
    seen = pair @ matrix[:, :2].T + matrix[:, 2]
    middle = (mesh.LOOK - 1) / 2
    level = middle - mesh.DROP * mesh.LOOK / mesh.SIDE
    half = mesh.LOOK / mesh.SIDE / 2
    np.testing.assert_allclose(seen, [(middle - half, level), (middle + half, level)], atol=1e-9)


def test_eyes_are_told_image_left_first() -> None:
    points = np.zeros((1, mesh.POINTS, 2))
    points[:, list(mesh.RIGHT_EYE)] = (10, 20)  # the person's right
    points[:, list(mesh.LEFT_EYE)] = (30, 20)
    np.testing.assert_array_equal(mesh.eye_centres(points), [[(10, 20), (30, 20)]])


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tflite", tmp_path / "other.tflite"):
        with pytest.raises(StageError, match=f"{path.name} is no face mesh"):
            mesh.FaceMesh(path)
        (tmp_path / "other.tflite").write_bytes(b"no network")


@needs_mesh
def test_points_sit_on_faces_and_follow_a_shift() -> None:
    network = mesh.FaceMesh(MESH)
    photos = drawn_photos(sample_faces(12, 3, "photos"))
    points, likely = network.find(photos, TEMPLATE)
    assert points.shape == (12, mesh.POINTS, 2) and (likely > 0.5).all()
    off = np.linalg.norm(mesh.eye_centres(points) - TEMPLATE, axis=2)
    assert np.median(off) < 1.5  # pixels; the eyes are 16.6 apart
    moved, _ = network.find(np.roll(photos, 3, axis=2), TEMPLATE + (3, 0))
    assert np.abs(moved - points - (3, 0)).mean() < 0.5
    rough = np.repeat((TEMPLATE + (1.5, -1))[None], 12, axis=0)
    assert np.abs(network.find(photos, rough)[0] - points).mean() < 0.5
    assert network.find(photos[:0], TEMPLATE)[0].shape == (0, mesh.POINTS, 2)


@needs_mesh
def test_noise_is_no_face() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    points, likely = mesh.FaceMesh(MESH).find(noise, TEMPLATE)
    assert (likely < 0.5).all() and np.isfinite(points).all()

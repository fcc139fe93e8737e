"""One direction from images to numbers: a perfect, a twisted and a faceless translation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.attributes import sample_faces
from pipeline.evaluate.face_reader import FaceReader
from pipeline.imaging.mesh import FaceMesh
from tests.pipeline.evaluate.aligned_faces import (
    EYES,
    MESH,
    drawn_anime,
    drawn_photos,
    moved,
    needs_mesh,
)

N = 32
FACES = [  # turned either way as often as not, where most people look at the camera
    replace(face, yaw=float(yaw))
    for face, yaw in zip(sample_faces(N, 7, "photos"), np.linspace(-1, 1, N), strict=True)
]


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return drawn_photos(FACES)


@pytest.fixture(scope="module")
def anime() -> np.ndarray:
    """The same people in the other style: what a perfect translator makes of ``photos``."""
    return drawn_anime(FACES)


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    return drawn_anime(sample_faces(N, 6, "anime"))


def test_without_the_mesh_photos_have_no_points_but_a_share_found(photos, anime, others) -> None:
    reader = FaceReader(None, EYES, most=25)
    source, target = reader.read(photos, "photos"), reader.read(others, "anime")
    assert len(source.images) == len(target.images) == 25
    shape = reader.shape(others, "anime")
    numbers = reader.compare(source, anime, target, shape, draws=50)
    found = numbers["found"]
    assert found["translated"]["value"] > 0.9 and found["floor"]["value"] > 0.9
    assert found["copy"]["high"] < 0.5 and found["copy"]["n"] == 25
    assert numbers["kept"] == {"yaw": None, "mouth_open": None}
    assert numbers["shape"]["inside"]["n"] > 20
    assert reader.shape(photos, "photos") is None


def test_a_face_awry_is_further_off(anime, others) -> None:
    reader = FaceReader(None, EYES, most=N)
    shape = reader.shape(others, "anime")
    source = reader.read(np.zeros_like(anime), "photos")
    target = reader.read(others, "anime")
    real, twisted = (
        reader.compare(source, images, target, shape)["shape"]
        for images in (anime, moved(anime, mouth=8))
    )
    assert twisted["translated"]["value"] > 1.2 * real["translated"]["value"]
    assert twisted["inside"]["value"] < real["inside"]["value"] - 0.2
    assert real["real"]["n"] > 25


def test_no_face_on_any_output_leaves_the_measures_out(photos, others) -> None:
    reader = FaceReader(None, EYES, most=25)
    source, target = reader.read(photos, "photos"), reader.read(others, "anime")
    numbers = reader.compare(source, np.zeros_like(photos), target, reader.shape(others, "anime"))
    assert numbers["found"]["translated"]["value"] == 0
    assert numbers["shape"] is None and set(numbers["kept"].values()) == {None}
    assert reader.compare(source, photos, target, None)["shape"] is None
    nothing = reader.read(photos[:0], "photos")
    assert reader.compare(nothing, photos[:0], target, None)["found"]["translated"] is None


@needs_mesh
def test_a_perfect_translation_keeps_pose_and_mouth_and_a_wrong_partner_does_not(
    photos, anime, others
) -> None:
    reader = FaceReader(MESH, EYES, most=N)
    source, target = reader.read(photos, "photos"), reader.read(others, "anime")
    perfect = reader.compare(source, anime, target, None)["kept"]
    wrong = reader.compare(source, np.roll(anime, N // 2, axis=0), target, None)["kept"]
    for name in ("yaw", "mouth_open"):
        assert perfect[name]["value"] > perfect[name]["shuffled_high"], name
        assert wrong[name]["value"] < perfect[name]["value"], name


@needs_mesh
def test_points_that_the_mesh_itself_doubts_are_not_believed(photos, monkeypatch) -> None:
    doubts = np.where(np.arange(N) < 10, 0.2, 0.9)
    points = np.ones((N, 468, 2))
    monkeypatch.setattr(FaceMesh, "find", lambda self, images, eyes: (points.copy(), doubts))
    faces = FaceReader(MESH, EYES).read(photos, "photos")
    assert np.isnan(faces.points[:10]).all() and np.isfinite(faces.points[10:]).all()

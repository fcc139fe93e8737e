"""Measures of constructed faces are exact; those of drawn and real faces see what is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from pipeline.demo.attributes import sample_faces
from pipeline.evaluate.face_reader import FaceReader
from pipeline.imaging import mesh
from pipeline.imaging.geometry import drawing_measures, mesh_measures
from tests.pipeline.evaluate.aligned_faces import (
    EYES,
    MESH,
    drawn_anime,
    drawn_photos,
    needs_celeba,
    needs_mesh,
    real_photos,
)


def constructed_mesh() -> np.ndarray:
    """[468, 2]: the eyes 20 apart about (0, 0), the nose .2 eye distances to the right."""
    points = np.zeros((mesh.POINTS, 2))
    for eye, side in ((mesh.RIGHT_EYE, -1), (mesh.LEFT_EYE, 1)):
        corners = [(side * 14, 0), (side * 6, 0)]  # 8 wide …
        points[list(eye)] = [*corners, (side * 10, -1), (side * 10, 1)]  # … and 2 open
    points[mesh.NOSE] = (4, 12)
    points[list(mesh.MOUTH)] = [(-8, 18), (8, 18), (0, 20), (0, 25)]  # corners up by 4.5 of 20
    return points


def constructed_drawing() -> np.ndarray:
    """[14, 2]: the eyes 20 apart about (0, 0), the nose .1 eye distances to the left."""
    boxes = [[(x - 4, y), (x + 4, y), (x, y - h), (x, y + h)] for x, y, h in
             ((-10, 0, 5), (10, 0, 5), (0, 18, 3))]  # fmt: skip
    return np.array([*np.concatenate(boxes), (-2, 12), (0, 24)], float)


def turned(points: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ matrix.T + (30, 40)


@pytest.mark.parametrize(
    ("measures", "points", "expected"),
    [
        (
            mesh_measures,
            constructed_mesh(),
            {"yaw": 0.2, "mouth_open": 0.25, "smile": 0.4 + 4.5 / 20, "eye_open": 0.25},
        ),
        (drawing_measures, constructed_drawing(), {"yaw": -0.1, "mouth_open": 0.3}),
    ],
)
def test_measures_are_exact_at_any_size_and_tilt(measures, points, expected) -> None:
    nobody = np.full_like(points, np.nan)
    table = measures(np.stack([points, turned(points, 25, 3.0), nobody]))
    for name, value in expected.items():
        np.testing.assert_allclose(table[name][:2], value, atol=1e-9)
    np.testing.assert_allclose(table["tilt"][:2], [0, 25], atol=1e-9)
    assert table.loc[2].isna().all() and set(table) == {*expected, "tilt"}
    assert measures(np.zeros((1, *points.shape))).isna().all(axis=None)  # all in one place


def correlations_with_truth(measures: pd.DataFrame, faces: list) -> dict[str, float]:
    truth = {"yaw": [face.yaw for face in faces], "mouth_open": [face.smile for face in faces]}
    return {
        name: spearmanr(measures[name], values, nan_policy="omit").statistic
        for name, values in truth.items()
    }


def test_measures_of_drawings_see_the_truth() -> None:
    faces = sample_faces(80, 7, "anime")
    measures = FaceReader(None, EYES).read(drawn_anime(faces), "anime").measures
    seen = correlations_with_truth(measures, faces)
    assert seen["yaw"] > 0.4 and seen["mouth_open"] > 0.6, seen
    tilted = FaceReader(None, EYES).read(drawn_anime(faces[:40], level=False), "anime").measures
    tilts = [face.tilt for face in faces[:40]]
    assert spearmanr(tilted["tilt"], tilts, nan_policy="omit").statistic > 0.6


@needs_mesh
def test_measures_of_drawn_photos_see_the_truth() -> None:
    faces = sample_faces(60, 7, "photos")
    measures = FaceReader(MESH, EYES).read(drawn_photos(faces), "photos").measures
    seen = correlations_with_truth(measures, faces)
    assert seen["yaw"] > 0.9 and seen["mouth_open"] > 0.6, seen
    smiles = [face.smile for face in faces]
    assert spearmanr(measures["smile"], smiles).statistic > 0.6


@needs_mesh
@needs_celeba
def test_measures_of_real_photos_tell_their_labels() -> None:
    photos, labels = real_photos(2000, 150)
    measures = FaceReader(MESH, EYES).read(photos, "photos", most=150).measures
    for name, label in {"mouth_open": "Mouth_Slightly_Open", "smile": "Smiling"}.items():
        seen = measures[name].notna()
        yes, no = (measures[name][seen & (labels[label] == is_so)] for is_so in (True, False))
        area = mannwhitneyu(yes, no).statistic / (len(yes) * len(no))
        assert area > 0.8, (name, area)

"""Shapes with a known answer: what varies as real faces do is near, what is twisted is not."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import ModelError
from models.metrics.shape import ShapeModel

POINTS = 12
RNG = np.random.default_rng(1)
MEAN = RNG.normal(0, 10, (POINTS, 2))
WAYS = RNG.normal(0, 1, (3, POINTS, 2))  # in which the faces vary


def faces(n: int, seed: int) -> np.ndarray:
    """[N, 12, 2] that vary in three ways and a little in all, at any place, size and angle."""
    rng = np.random.default_rng(seed)
    shapes = MEAN + np.einsum("nk,kpd->npd", rng.normal(0, 0.5, (n, 3)), WAYS)
    shapes += rng.normal(0, 0.1, shapes.shape)
    return shapes @ turn(rng.uniform(-0.3, 0.3)) * rng.uniform(0.5, 3) + rng.normal(
        0, 50, (n, 1, 2)
    )


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.fixture(scope="module")
def model() -> ShapeModel:
    return ShapeModel.fit(faces(200, 2), components=3)


def test_other_real_faces_are_as_near_as_the_models_own(model) -> None:
    lengths = model.lengths(faces(1000, 3))
    assert np.sqrt((lengths**2).mean()) == pytest.approx(1, abs=0.1)
    assert 0.8 < np.median(lengths) < 1
    assert (lengths <= model.limit).mean() == pytest.approx(0.95, abs=0.03)
    assert np.median(model.real) == pytest.approx(np.median(lengths), abs=0.1)


def test_length_is_how_many_deviations_a_face_is_off(model) -> None:
    """k deviations along one of K components, and nothing beside, are k/√(K + 1)."""
    mean = np.stack([model.mean.real, model.mean.imag], axis=-1)
    step = (model.components[1] * model.deviations[1]).reshape(2, POINTS).T
    lengths = model.lengths(np.stack([mean, mean + step / 10, mean - step / 2]))
    np.testing.assert_allclose(lengths, np.array([0, 0.1, 0.5]) / 2, rtol=0.05, atol=1e-9)


def test_place_size_and_rotation_do_not_count_but_a_mirror_does(model) -> None:
    some = faces(20, 4)
    moved = 3.5 * some @ turn(2.0) + (100, -7)
    np.testing.assert_allclose(model.lengths(moved), model.lengths(some), rtol=1e-9)
    assert (model.lengths(some * (-1, 1)) > model.limit).all()


def test_the_further_a_point_is_off_the_longer(model) -> None:
    some = faces(100, 5)
    spread = np.abs(some - some.mean(axis=1, keepdims=True)).mean(axis=(1, 2))[:, None]
    shares = []
    for off in (0.0, 0.5, 1.0, 2.0):
        twisted = some.copy()
        twisted[:, 7] += off * spread
        shares.append((model.lengths(twisted) <= model.limit).mean())
    assert shares[0] > 0.9 and shares[-1] < 0.2
    assert shares == sorted(shares, reverse=True)


def test_faces_that_were_not_found_are_left_out(model) -> None:
    some = faces(60, 6)
    some[::2, 3] = np.nan
    lengths = model.lengths(some)
    assert np.isnan(lengths[::2]).all() and np.isfinite(lengths[1::2]).all()
    assert len(ShapeModel.fit(some, components=3).real) == 30
    with pytest.raises(ModelError, match="8 components of shape needs 32 real faces, there are 30"):
        ShapeModel.fit(some, components=8)


def test_points_in_one_place_and_faces_all_alike_are_no_shape(model) -> None:
    assert np.isnan(model.lengths(np.zeros((1, POINTS, 2)))).all()
    with pytest.raises(ModelError, match="do not vary in 3 ways"):
        ShapeModel.fit(np.repeat(faces(1, 7), 40, axis=0), components=3)

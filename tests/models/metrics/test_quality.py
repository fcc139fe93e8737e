"""Metrics on sets whose answer is known: equal ones, Gaussians, copies, a collapsed set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from models.errors import ModelError
from models.metrics.estimate import MIN_IMAGES
from models.metrics.fid import fid, frechet
from models.metrics.quality import DISTANCES, METRICS, Sets, measure
from models.metrics.two_sample import two_sample
from models.metrics.variety import diversity, memorised


def draw(n: int, shift: float = 0.0, scale: float = 1.0, seed: int = 0, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, scale, (n, d))


def mean_distance(x: np.ndarray) -> float:
    return float(pdist(x).mean())


def closed_form(shift: float, a: float, b: float, d: int) -> float:
    """FID of two Gaussians of deviations a and b whose means are ``shift`` apart in each axis."""
    return d * shift**2 + d * (a - b) ** 2


def test_frechet_of_large_samples_is_the_closed_form():
    x, y = draw(20_000, 0, 1, 1), draw(20_000, 0.5, 2, 2)
    assert frechet(x, y) == pytest.approx(closed_form(0.5, 1, 2, 6), rel=0.03)
    assert frechet(x, x) == pytest.approx(0, abs=1e-6)


def test_frechet_equals_the_matrix_root_of_the_definition():
    from scipy.linalg import sqrtm

    x, y = draw(40, 0, 1, 1), draw(30, 0.5, 2, 2) @ np.diag(np.arange(1.0, 7))
    a, b = np.cov(x.T), np.cov(y.T)
    root = np.trace(sqrtm(a @ b)).real
    mean = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = mean + np.trace(a) + np.trace(b) - 2 * root
    assert frechet(x, y) == pytest.approx(expected, rel=1e-6)


def test_fid_of_few_images_has_lost_its_bias():
    """Of 60 images in 20 dimensions, plain FID says 10 % more; extrapolated it does not."""
    truth = closed_form(0.5, 1, 2, 20)
    pairs = [(draw(60, 0, 1, 2 * i, 20), draw(60, 0.5, 2, 2 * i + 1, 20)) for i in range(30)]
    plain = np.mean([frechet(x, y) for x, y in pairs])
    without = np.mean([fid(x, y).value for x, y in pairs])
    assert plain > 1.08 * truth
    assert without == pytest.approx(truth, rel=0.04)


def test_fid_of_more_features_than_images_is_finite_and_ordered():
    real, near, far = (draw(30, shift, 1, i, 200) for i, shift in enumerate((0, 0.3, 1)))
    assert fid(real, near).value < fid(real, far).value
    estimate = fid(real, near)
    assert estimate.low <= estimate.value <= estimate.high
    assert (estimate.n_real, estimate.n_fake) == (30, 30)


def test_a_classifier_cannot_part_equal_sets_and_parts_distant_ones():
    real, same, far = draw(150, seed=1), draw(150, seed=2), draw(150, 4, seed=3)
    equal, apart = (two_sample(real, x, draws=200) for x in (same, far))
    assert equal.low < 0.5 < equal.high
    assert apart.value == 1.0
    swapped = two_sample(far, real, draws=200)
    assert swapped.value == 1.0  # whichever side is real


def test_the_classifier_never_scores_an_image_that_it_learned_from():
    """Noise in far more dimensions than images is parted perfectly by who may look."""
    real, same = draw(60, seed=1, d=500), draw(60, seed=2, d=500)
    assert two_sample(real, same, draws=100).value == pytest.approx(0.5, abs=0.15)


def test_diversity_is_one_for_equal_sets_and_nothing_for_a_collapsed_one():
    real, other = draw(400, seed=1), draw(400, seed=2)
    whole, half = (diversity(real, x, draws=200) for x in (other, other / 2))
    assert whole.low < whole.value < whole.high
    assert whole.value == pytest.approx(1, abs=0.15)  # four standard errors
    assert half.value == pytest.approx(whole.value / 2)
    one_face = np.repeat(draw(1, seed=3), 400, axis=0)
    assert diversity(real, one_face, draws=200).value == 0
    two_faces = np.repeat(draw(2, seed=3) / 10, 200, axis=0)  # half of their pairs are one face
    apart = np.linalg.norm(two_faces[0] - two_faces[-1])
    two = diversity(real, two_faces, draws=200).value
    assert two == pytest.approx(whole.value * apart / 2 / mean_distance(other), rel=0.01)


def test_planted_copies_of_training_images_are_seen():
    known, real, fake = draw(200, seed=1), draw(200, seed=2), draw(200, seed=3)
    unseen = memorised(known, real, fake)
    assert unseen.low < 0.05 < unseen.high
    fake[:60] = known[:60] + draw(60, scale=1e-3, seed=4)
    planted = memorised(known, real, fake)
    assert planted.value == pytest.approx(0.3 + 0.7 * unseen.value, abs=0.03)
    assert memorised(known, real, known).value == 1.0


def test_all_of_them_are_told_by_name_with_their_interval():
    sets = Sets(draw(30, seed=1), draw(30, seed=2), draw(30, seed=3), draws=50, seed=0)
    told = measure(sets)
    assert set(told) == set(METRICS) > set(DISTANCES)
    for name, estimate in told.items():
        assert estimate["low"] <= estimate["value"] <= estimate["high"], name
    assert measure(sets) == told
    assert set(measure(sets, DISTANCES)) == {"kid", "fid"}


@pytest.mark.parametrize("name", METRICS)
def test_too_few_or_broken_images_end_in_one_line(name: str):
    few = Sets(draw(MIN_IMAGES - 1), draw(20), draw(20), draws=10, seed=0)
    with pytest.raises(ModelError, match=r"at least 8 real images, there are 7: raise split\.val"):
        measure(few, [name])
    broken = draw(20)
    broken[0, 0] = np.nan
    with pytest.raises(ModelError, match="translated images are not all finite"):
        measure(Sets(draw(20), broken, draw(20), draws=10, seed=0), [name])

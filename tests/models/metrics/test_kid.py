"""KID against a brute-force reference, its bias, and how often its interval holds the truth."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from models.errors import ModelError
from models.metrics import kid


def draw(n: int, shift: float = 0.0, seed: int = 0, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1.0, (n, d))


def brute_force(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1.0) ** 3

    def within(z: np.ndarray) -> float:
        n = len(z)
        pairs = [k(z[i], z[j]) for i in range(n) for j in range(n) if i != j]
        return sum(pairs) / (n * (n - 1))

    cross = np.mean([k(a, b) for a in x for b in y])
    return within(x) + within(y) - 2 * float(cross)


def test_equals_the_definition_for_unequal_sample_sizes():
    x, y = draw(9, 0.0, 1), draw(14, 0.4, 2)
    estimate = kid.kid(x, y, draws=10)
    assert estimate.value == pytest.approx(brute_force(x, y), rel=1e-10)
    assert (estimate.n_real, estimate.n_fake) == (9, 14)


def test_equals_torchmetrics_for_equal_sample_sizes():
    x, y = draw(20, 0.0, 1), draw(20, 0.5, 2)
    expected = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    assert kid.kid(x, y, draws=10).value == pytest.approx(expected, rel=1e-10)


def test_unbiased_mean_over_draws_from_one_distribution_is_zero():
    values = [
        kid.kid(draw(12, seed=2 * i), draw(9, seed=2 * i + 1), draws=2).value for i in range(600)
    ]
    standard_error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * standard_error
    biased_by_the_diagonal = 8 / 12 + 8 / 9  # what k(x, x) ≈ 8 on the diagonal would add
    assert 4 * standard_error < 0.1 * biased_by_the_diagonal


def test_bootstrap_stays_at_the_estimate_although_images_repeat():
    x, y = draw(40, 0.0, 1), draw(40, 0.3, 2)
    estimate = kid.kid(x, y, draws=4000)
    middle, spread = (estimate.low + estimate.high) / 2, estimate.high - estimate.low
    assert abs(middle - estimate.value) < 0.15 * spread  # k(x, x) ≈ 8 would lift it by far more
    assert spread < 8 / 40 * 10


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_interval_holds_the_truth_about_as_often_as_it_says(shift: float):
    truth = kid.kid(draw(3000, 0, 98), draw(3000, shift, 99), draws=2).value if shift else 0.0
    held = 0
    for i in range(150):
        x, y = draw(40, seed=10_000 + i), draw(40, shift, seed=20_000 + i)
        estimate = kid.kid(x, y, draws=200, seed=i)
        held += estimate.low <= truth <= estimate.high
    assert held / 150 > 0.85


def test_interval_is_reproducible_and_narrows_with_more_images():
    few = kid.kid(draw(30, seed=1), draw(30, 0.5, seed=2), draws=300, seed=3)
    many = kid.kid(draw(300, seed=1), draw(300, 0.5, seed=2), draws=300, seed=3)
    assert few == kid.kid(draw(30, seed=1), draw(30, 0.5, seed=2), draws=300, seed=3)
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_too_few_images_or_nan_end_in_one_line():
    with pytest.raises(ModelError, match=r"at least 8 real images, there are 3: raise split\.val"):
        kid.kid(draw(3), draw(20))
    broken = draw(20)
    broken[0, 0] = np.nan
    with pytest.raises(ModelError, match="translated images are not all finite"):
        kid.kid(draw(20), broken)

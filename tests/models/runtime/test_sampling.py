"""Which rows a step sees: shuffled passes, and passes that show some rows more often."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from models.runtime.sampling import Order

WEIGHTS = np.array([0.25, 1.0, 2.5, 0.25])


def counts(order: Order, passes: int) -> np.ndarray:
    return np.bincount(order.rows(0, passes * order.size).numpy(), minlength=order.size)


def test_every_pass_has_every_row_once_in_an_order_of_its_own():
    order = Order(50, seed=1, stream=0)
    first, second = order.rows(0, 50).tolist(), order.rows(50, 50).tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != Order(50, 2, 0).rows(50, 50).tolist()
    assert Order(50, 1, 1).rows(0, 50).tolist() != first


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_any_part_is_the_same_without_what_was_before(weights):
    whole = Order(4, 3, 0, weights).rows(0, 40).tolist()
    assert copy.copy(Order(4, 3, 0, weights)).rows(17, 11).tolist() == whole[17:28]


def test_a_row_comes_as_often_as_it_weighs():
    often = counts(Order(4, 0, 0, WEIGHTS), 4000) / 4000
    np.testing.assert_allclose(often, WEIGHTS, atol=0.03)
    for seed in range(20):
        once = counts(Order(4, seed, 0, WEIGHTS), 1)
        assert once.sum() == 4 and once[1] == 1 and once[2] in (2, 3)


def test_equal_weights_show_every_row_once_a_pass():
    for size in (1, 7, 1000):
        assert (counts(Order(size, 0, 0, np.ones(size)), 3) == 3).all()

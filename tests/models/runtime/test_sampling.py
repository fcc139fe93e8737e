"""Which rows a step sees: shuffled passes, told from seed and position alone."""

from __future__ import annotations

import copy

from models.runtime.sampling import Order


def test_every_pass_has_every_row_once_in_an_order_of_its_own():
    order = Order(50, seed=1, stream=0)
    first, second = order.rows(0, 50).tolist(), order.rows(50, 50).tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != Order(50, 2, 0).rows(50, 50).tolist()
    assert Order(50, 1, 1).rows(0, 50).tolist() != first


def test_any_part_is_the_same_without_what_was_before():
    whole = Order(4, 3, 0).rows(0, 40).tolist()
    assert copy.copy(Order(4, 3, 0)).rows(17, 11).tolist() == whole[17:28]

"""How long a training took, also one that went on from a saved state."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from pipeline.train import training_seconds


@pytest.mark.parametrize(
    ("resumed_from", "expected"),
    [(0, 30.0), (400, 50.0)],  # all 1000 images in 30 s, or the last 600
)
def test_a_resumed_training_counts_as_a_whole_one(resumed_from: int, expected: float) -> None:
    result = SimpleNamespace(seconds=30.0, images_seen=1000, resumed_from=resumed_from)
    assert training_seconds(result) == expected


def test_nothing_left_to_train_measures_nothing() -> None:
    result = SimpleNamespace(seconds=0.1, images_seen=1000, resumed_from=1000)
    assert math.isnan(training_seconds(result))

"""How long a training took, also one that went on from a saved state."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from pipeline.train.runs import training_seconds


@pytest.mark.parametrize(
    ("resumed_from", "pretraining", "expected"),
    [(0, 0.0, 30.0), (400, 0.0, 50.0), (400, 7.0, 57.0)],  # 1000 images in 30 s, or the last 600
)
def test_a_resumed_training_counts_as_a_whole_one(
    resumed_from: int, pretraining: float, expected: float
) -> None:
    result = SimpleNamespace(
        seconds=30.0,
        images_seen=1000,
        resumed_from=resumed_from,
        pretraining_seconds=pretraining,
    )
    assert training_seconds(result) == expected


def test_nothing_left_to_train_measures_nothing() -> None:
    result = SimpleNamespace(
        seconds=0.1, images_seen=1000, resumed_from=1000, pretraining_seconds=0.0
    )
    assert math.isnan(training_seconds(result))

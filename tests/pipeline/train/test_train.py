"""How long a training took, also one that went on from a saved state."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.train.runs import note_finished, training_seconds, why_anew


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


def made_of(budget: int, lr: float = 1e-3, blocks: int = 3) -> dict:
    return {"train": {"budget_images": budget, "lr": lr}, "variant": {"blocks": blocks}}


def test_a_raised_budget_begins_anew_and_says_why(project: Path) -> None:
    assert why_anew("xgan", made_of(1000)) == ""
    note_finished("xgan", made_of(1000))
    told = why_anew("xgan", made_of(20_000))
    assert "was 1,000 and is 20,000 now: it begins anew, because the learning rate" in told
    assert "\n" not in told
    assert why_anew("other", made_of(20_000)) == ""
    # Nothing else is expected to go on.
    for other in (made_of(1000), made_of(2000, lr=1e-4), made_of(2000, blocks=6)):
        assert why_anew("xgan", other) == ""
    Path(".cache/train/xgan.finished.json").write_text("{", encoding="utf-8")
    assert why_anew("xgan", made_of(20_000)) == ""

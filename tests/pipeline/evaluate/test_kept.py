"""What is kept is told from chance, and too little is told as nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluate.kept import MIN_FACES, correlations

RNG = np.random.default_rng(5)


def pairs(n: int, noise: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=n)
    y = np.exp(x + noise * rng.normal(size=n))  # any rising curve: ranks count
    return pd.DataFrame({"yaw": x}), pd.DataFrame({"yaw": y})


def test_a_rising_curve_is_kept_and_its_fall_is_turned_round() -> None:
    source, target = pairs(100, 0)
    kept = correlations(source, target)["yaw"]
    assert kept["value"] == kept["high"] == pytest.approx(1) and kept["n"] == 100
    assert correlations(source, -target)["yaw"]["value"] == pytest.approx(-1)
    assert abs(kept["shuffled"]) < 0.02
    assert -0.3 < kept["shuffled_low"] < -0.1 and 0.1 < kept["shuffled_high"] < 0.3


def test_noise_lowers_it_and_the_interval_holds_the_truth() -> None:
    source, target = pairs(400, 1.0)
    kept = correlations(source, target)["yaw"]
    truth = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)  # of normal variables with correlation √½
    assert kept["low"] < truth < kept["high"] and kept["high"] - kept["low"] < 0.15
    assert kept["low"] > kept["shuffled_high"]
    assert correlations(source, target) == correlations(source, target)


def test_what_is_not_kept_lies_within_chance() -> None:
    source, target = pairs(200, 0)
    inside = 0
    for seed in range(40):
        partner = target.sample(frac=1, random_state=seed, ignore_index=True)
        kept = correlations(source, partner, draws=200)["yaw"]
        inside += kept["shuffled_low"] <= kept["value"] <= kept["shuffled_high"]
    assert 34 <= inside <= 40  # of 40: 95 % are 38


def test_too_few_faces_and_no_variance_are_none() -> None:
    source, target = pairs(MIN_FACES, 0)
    assert correlations(source, target)["yaw"] is not None
    target.loc[3, "yaw"] = np.nan
    assert correlations(source, target) == {"yaw": None}
    source, target = pairs(50, 0)
    assert correlations(source, target * 0) == {"yaw": None}
    assert correlations(source[:0], target[:0]) == {"yaw": None}


def test_only_what_both_have_is_compared_and_no_tilt() -> None:
    table = pd.DataFrame(RNG.normal(size=(30, 3)), columns=["yaw", "tilt", "smile"])
    assert list(correlations(table, table.drop(columns="smile"))) == ["yaw"]

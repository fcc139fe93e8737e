"""Rules over labels, the share of men and the sample: what goes, and what growth leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.celeba.rules import choose
from pipeline.core.errors import StageError
from pipeline.core.params import Celeba
from pipeline.demo.attributes import CELEBA_ATTRIBUTES


def rows(count: int) -> pd.DataFrame:
    """Row i has the same labels whatever the count; four in ten are men."""
    drawn = np.random.default_rng(5).random((10_000, len(CELEBA_ATTRIBUTES)))[:count]
    table = pd.DataFrame(drawn < 0.4, columns=list(CELEBA_ATTRIBUTES))
    table.index = pd.Index([f"{n:06d}.jpg" for n in range(count)])
    return table.assign(identity=range(count), partition=0)


def ask(**changes) -> Celeba:
    return Celeba(**{"path": Path("nowhere"), "keep": {}} | changes)


def test_rules_apply_one_after_the_other_and_are_counted() -> None:
    table = rows(500)
    asked = ask(keep={"Young": True, "Male": False}, drop={"Blurry": True, "Wearing_Hat": True})
    kept, counts = choose(table, asked)
    by_hand = table[table["Young"] & ~table["Male"] & ~table["Blurry"] & ~table["Wearing_Hat"]]
    assert kept.index.tolist() == by_hand.index.tolist()
    assert list(counts) == [
        "after_Young_yes",
        "after_Male_no",
        "after_Blurry_no",
        "after_Wearing_Hat_no",
    ]
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert counts["after_Wearing_Hat_no"] == len(kept)


@pytest.mark.parametrize("label", CELEBA_ATTRIBUTES)
def test_every_label_can_be_kept_and_dropped(label: str) -> None:
    table = rows(200)
    kept, _ = choose(table, ask(keep={label: 1}))
    dropped, _ = choose(table, ask(drop={label: 1}))
    assert kept[label].all() and not dropped[label].any()
    assert len(kept) + len(dropped) == 200


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25])
def test_the_share_of_men_is_as_asked_and_no_woman_goes(share: float) -> None:
    table = rows(2000)
    kept, counts = choose(table, ask(male_fraction=share))
    assert kept["Male"].mean() == pytest.approx(share, abs=0.001)
    assert (~kept["Male"]).sum() == (~table["Male"]).sum()
    assert counts["after_male_fraction"] == len(kept)
    again, _ = choose(table[::-1], ask(male_fraction=share))
    assert set(again.index) == set(kept.index)


def test_a_larger_share_contains_a_smaller_one_and_too_large_a_one_takes_all() -> None:
    table = rows(1000)
    some, _ = choose(table, ask(male_fraction=0.1))
    more, _ = choose(table, ask(male_fraction=0.2))
    everyone, _ = choose(table, ask(male_fraction=0.9))
    assert set(some.index) < set(more.index) and len(everyone) == 1000


def test_growth_moves_only_men_near_the_bound() -> None:
    before, _ = choose(rows(5000), ask(male_fraction=0.1))
    after, _ = choose(rows(10_000), ask(male_fraction=0.1))
    men = set(before.index[before["Male"]])
    assert set(before.index) - men <= set(after.index)
    assert len(men & set(after.index)) >= 0.95 * len(men)


def test_limit_is_a_sample_that_a_larger_limit_contains() -> None:
    small, counts = choose(rows(100), ask(limit=30, seed=5))
    large, _ = choose(rows(100), ask(limit=60, seed=5))
    other, _ = choose(rows(100), ask(limit=30, seed=6))
    assert len(small) == 30 == counts["sampled"] and set(small.index) < set(large.index)
    assert set(small.index) != set(other.index)
    assert set(small.index) <= set(choose(rows(90), ask(limit=30, seed=5))[0].index) | set(
        rows(100).index[90:]
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep": {"Smilling": True}}, ["celeba.keep", "did you mean 'Smiling'"]),
        ({"drop": {"eyeglasses": True}}, ["celeba.drop", "did you mean 'Eyeglasses'"]),
        ({"keep": {"Bald": True}, "drop": {"Bald": True}}, ["no image is left"]),
        ({"keep": {"Male": True}, "male_fraction": 0.5}, ["leave no women"]),
    ],
)
def test_a_wrong_rule_ends_in_one_clear_line(changes, words) -> None:
    with pytest.raises(StageError) as error:
        choose(rows(50), ask(**changes))
    assert [word for word in words if word not in str(error.value)] == []
    assert "\n" not in str(error.value)

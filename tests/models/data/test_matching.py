"""Drawings are shown as often as makes them what photos are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from models.data.matching import LEAST, MOST, matching_weights
from models.errors import ModelError
from models.training.batches import Batches
from models.training.keys import training_key
from models.variants import variant_from_dict
from tests.models.helpers import domain, settings, variant


def labels(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def shares(weights: np.ndarray, values: pd.Series) -> dict[str, float]:
    known = (values != "unknown").to_numpy()
    return (
        pd.Series(weights[known]).groupby(values[known].to_numpy()).sum() / weights[known].sum()
    ).to_dict()


PHOTOS = labels(
    hair=["black"] * 50 + ["brown"] * 30 + ["unknown"] * 20, mouth=["open", "shut"] * 50
)
ANIME = labels(
    hair=["black"] * 30 + ["brown"] * 60 + ["unknown"] * 10, mouth=(["open"] + ["shut"] * 4) * 20
)


def test_each_class_comes_half_way_to_its_share_among_photos():
    weights = matching_weights(PHOTOS, ANIME, ["hair", "mouth"])
    assert weights.mean() == pytest.approx(1)
    black = (1 / 3 + 5 / 8) / 2
    assert shares(weights, ANIME["hair"]) == pytest.approx(
        {"black": black, "brown": 1 - black}, abs=0.01
    )
    assert shares(weights, ANIME["mouth"]) == pytest.approx({"open": 0.35, "shut": 0.65}, abs=0.01)
    assert weights[ANIME["hair"] == "unknown"].sum() == pytest.approx(10, rel=0.01)


def test_a_class_that_photos_lack_stays_at_half():
    anime = labels(hair=["black", "brown", "pink", "pink"] * 25)
    told = shares(matching_weights(PHOTOS, anime, ["hair"]), anime["hair"])
    assert told["pink"] == pytest.approx(0.25, abs=0.01)
    assert told["black"] / told["brown"] == pytest.approx((0.25 + 5 / 8) / (0.25 + 3 / 8), abs=0.01)


def test_nothing_changes_where_both_are_alike_or_nothing_is_asked():
    np.testing.assert_allclose(matching_weights(PHOTOS, PHOTOS, ["hair", "mouth"]), 1)
    np.testing.assert_array_equal(matching_weights(PHOTOS, ANIME, []), 1)


def test_no_drawing_is_lost_and_none_shown_all_the_time():
    rare = labels(hair=["black"] + ["blue"] * 199)
    weights = matching_weights(PHOTOS, rare, ["hair"])
    assert weights[0] == pytest.approx(MOST) and weights.min() >= LEAST * 0.999


@pytest.mark.parametrize("known", [labels(hair=["unknown"] * 3), labels(eyes=["red"] * 3)])
def test_an_attribute_that_one_domain_knows_nothing_of_is_refused(known):
    for photos, anime, who in ((PHOTOS, known, "anime"), (known, ANIME, "photos")):
        with pytest.raises(ModelError, match=f"names hair, of which no .* {who}"):
            matching_weights(photos, anime, ["hair"])


def test_classes_that_only_one_domain_has_are_refused():
    with pytest.raises(ModelError, match="names hair, .* a class that one of photos has"):
        matching_weights(PHOTOS, labels(hair=["pink", "blue"]), ["hair"])


def test_training_shows_them_so_and_new_labels_are_a_new_training():
    spec = variant("cyclegan", match_labels=["mouth"])
    photos = replace(domain("photos", 8), labels=labels(mouth=["open", "shut"] * 4))
    anime = replace(domain("anime", 8), labels=labels(mouth=["open"] + ["shut"] * 7))
    batches = Batches(spec, settings(), photos, anime, torch.device("cpu"))
    orders = batches.orders()
    shown = orders["anime"].rows(0, 800).tolist()
    assert shown.count(0) == pytest.approx(800 * (1 / 8 + 1 / 2) / 2, abs=5)
    assert sorted(orders["photos"].rows(0, 8).tolist()) == list(range(8))
    relabelled = replace(anime, labels=anime.labels[::-1].reset_index(drop=True))
    keys = {training_key(spec, settings(), photos, x) for x in (anime, relabelled)}
    assert len(keys) == 2
    plain = variant("cyclegan")
    assert len({training_key(plain, settings(), photos, x) for x in (anime, relabelled)}) == 1


@pytest.mark.parametrize("value", ["hair", 3, [3]])
def test_anything_but_a_list_of_words_is_refused(value):
    with pytest.raises(ModelError, match="`match_labels` must be a list"):
        variant_from_dict({"name": "x", "match_labels": value})

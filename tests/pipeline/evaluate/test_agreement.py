"""Agreement worked out by hand, its interval, and the colour rule."""

import numpy as np
import pytest

from pipeline.evaluate.agreement import ColourRule, balanced_agreement, common_classes, hair_lab


def test_is_the_mean_of_the_shares_of_each_class():
    labels = np.array(["black"] * 8 + ["blonde"] * 2 + ["unknown"] * 3 + ["blue"])
    told = np.array(["black"] * 6 + ["blonde"] * 2 + ["blonde", "red"] + ["black"] * 3 + ["blue"])
    result = balanced_agreement(labels, told, ["black", "blonde"])
    assert result is not None
    assert result.value == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert (result.n, result.classes) == (10, 2)  # neither unknown nor blue counts


def test_always_answering_the_commonest_class_scores_chance():
    labels = np.array(["no"] * 90 + ["yes"] * 10)
    result = balanced_agreement(labels, np.full(100, "no"), ["no", "yes"])
    assert result is not None and result.value == 0.5


def test_three_right_of_three_is_not_certainty():
    labels = np.array(["no"] * 3 + ["yes"] * 3)
    result = balanced_agreement(labels, labels, ["no", "yes"])
    assert result is not None
    assert result.value == result.high == 1.0
    assert result.low < 0.85


def test_interval_holds_the_true_rate_about_as_often_as_it_says():
    truth, held = {"no": 0.9, "yes": 0.6}, 0
    rng = np.random.default_rng(5)
    labels = np.array(["no"] * 60 + ["yes"] * 15)
    for i in range(300):
        right = rng.random(75) < np.array([truth[name] for name in labels])
        told = np.where(right, labels, "neither")
        result = balanced_agreement(labels, told, ["no", "yes"], draws=400, seed=i)
        assert result is not None
        held += result.low <= 0.75 <= result.high
    assert 0.90 < held / 300 < 0.99


def test_one_class_alone_measures_nothing():
    labels = np.array(["female"] * 20)
    assert balanced_agreement(labels, labels, ["female", "male"]) is None


def test_only_classes_that_both_domains_have_often_enough():
    source = np.array(["black"] * 9 + ["grey"] * 9 + ["unknown"] * 9 + ["brown"] * 4)
    target = np.array(["black"] * 9 + ["blue"] * 9 + ["unknown"] * 9 + ["brown"] * 9)
    assert common_classes(source, target) == ["black"]


def faces(hair: tuple[int, int, int], n: int, seed: int) -> np.ndarray:
    """Uint8 [n, 3, 32, 32] with noise everywhere and one colour in the upper third."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    shade = rng.integers(-12, 13, (n, 1, 1, 1))
    images[:, :, :11] = np.clip(np.array(hair).reshape(1, 3, 1, 1) + shade, 0, 255)
    return images


def test_hair_colour_is_measured_in_lab():
    white, red = hair_lab(faces((255, 255, 255), 1, 0) | 255), hair_lab(faces((255, 0, 0), 400, 0))
    assert white[0] == pytest.approx([100, 0, 0], abs=0.1)
    assert np.median(red, axis=0) == pytest.approx([53, 79, 66], abs=3)  # red in CIE Lab (D65)


def test_colour_rule_tells_hair_colours_that_it_saw():
    colours = {"black": (25, 22, 25), "blonde": (225, 195, 120), "pink": (240, 150, 180)}
    train = np.concatenate([faces(rgb, 10, i) for i, rgb in enumerate(colours.values())])
    rule = ColourRule(train, np.repeat(list(colours), 10), list(colours))
    fresh = np.concatenate([faces(rgb, 10, 9 + i) for i, rgb in enumerate(colours.values())])
    assert (rule.predict(fresh) == np.repeat(list(colours), 10)).all()

"""The recognizer learns plain attributes and pays nothing for unknown ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from models.data.augment import to_float
from models.data.domain import Domain
from models.errors import ModelError
from models.recognizer.network import Recognizer
from models.recognizer.training import (
    MASKED,
    RecognizerSettings,
    accuracy,
    balanced_weights,
    class_indices,
    load_recognizer,
    masked_cross_entropy,
    save_recognizer,
    train_recognizer,
)
from tests.models.helpers import light_reader

HEADS = {"colour": ["red", "green", "blue"], "place": ["left", "right"]}
QUICK = RecognizerSettings(
    images=320, batch_size=32, lr=5e-3, channels=4, precision="fp32", device="cpu"
)


def squares(count: int, seed: int, size: int = 32) -> Domain:
    """A coloured square, high or low, on noise."""
    rng = np.random.default_rng(seed)
    colour, place = rng.integers(0, 3, count), rng.integers(0, 2, count)
    images = rng.integers(0, 80, (count, 3, size, size), dtype=np.uint8)
    for i in range(count):
        top = (size // 8, size // 2)[place[i]]
        images[i, colour[i], top : top + size // 3, size // 3 : 2 * size // 3] = 230
    labels = {
        "colour": [HEADS["colour"][c] for c in colour],
        "place": ["high" if p == 0 else "low" for p in place],
    }
    return Domain(torch.from_numpy(images), [str(i) for i in range(count)], pd.DataFrame(labels))


VERTICAL = {**HEADS, "place": ["high", "low"]}


@pytest.fixture(scope="module")
def trained() -> Recognizer:
    return train_recognizer([squares(64, 0), squares(64, 1)], VERTICAL, QUICK, seed=0)[0]


def test_accuracy_by_hand():
    """Made to call dark images low and others high: right of 3 of 4 low ones and 1 of 2 high."""
    reader = light_reader({"place": ["low", "high"], "colour": HEADS["colour"]}, 32, limit=128)
    light = torch.tensor([0, 0, 0, 255, 255, 0, 0], dtype=torch.uint8)
    images = light.view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    place = ["low"] * 4 + ["high"] * 2 + ["unknown"]
    labels = pd.DataFrame({"place": place, "colour": "unknown"})
    scores = accuracy(reader, Domain(images, [str(i) for i in range(7)], labels))
    assert set(scores) == {"place"}
    assert scores["place"] == pytest.approx(
        {"accuracy": 4 / 6, "balanced": (3 / 4 + 1 / 2) / 2, "chance": 1 / 2, "images": 6}
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_learns_black_from_white(precision):
    """The easiest there is: its loss falls from log 2 to a tenth of it."""
    images = torch.tensor([0, 255] * 32, dtype=torch.uint8).view(-1, 1, 1, 1)
    labels = pd.DataFrame({"light": ["black", "white"] * 32})
    data = Domain(images.expand(-1, 3, 32, 32), [str(i) for i in range(64)], labels)
    heads, plan = {"light": ["black", "white"]}, replace(QUICK, images=960, precision=precision)
    _, history = train_recognizer([data], heads, plan)
    assert history["light"].iloc[-1] < 0.5 * history["light"].iloc[0]


def test_probabilities_and_features_have_their_shapes(trained):
    images = squares(10, 3).images
    probabilities = trained.predict(images, batch_size=4)
    assert {name: p.shape for name, p in probabilities.items()} == {
        "colour": (10, 3),
        "place": (10, 2),
    }
    for p in probabilities.values():
        torch.testing.assert_close(p.sum(1), torch.ones(10))
    assert trained.features(images, batch_size=4).shape == (10, 32)
    torch.testing.assert_close(trained.features(images[:3]), trained.features(images)[:3])


def test_same_seed_same_weights_other_seed_others():
    data, short = [squares(64, 0)], replace(QUICK, images=64)
    first, again, other = (
        train_recognizer(data, VERTICAL, short, seed)[0].state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_unknown_labels_change_nothing_that_others_teach():
    """Masked rows of one head leave its loss what the known rows alone give."""
    torch.manual_seed(0)
    logits, weights = torch.randn(6, 3), torch.tensor([1.0, 2.0, 0.5])
    targets = torch.tensor([0, MASKED, 2, 1, MASKED, 1])
    known = targets != MASKED
    expected = F.cross_entropy(logits[known], targets[known], weights)
    torch.testing.assert_close(masked_cross_entropy(logits, targets, weights), expected)
    logits.requires_grad_()
    masked_cross_entropy(logits, targets, weights).backward()
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).all()


def test_batch_without_a_known_label_costs_zero():
    logits = torch.randn(4, 2, requires_grad=True)
    loss = masked_cross_entropy(logits, torch.full((4,), MASKED), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_a_head_that_one_domain_lacks_is_asked_of_the_other():
    labelled, bare = squares(64, 0), squares(64, 1)
    unknown = bare.labels.assign(colour="unknown").drop(columns="place")
    bare = Domain(bare.images, bare.ids, unknown)
    model, history = train_recognizer([labelled, bare], VERTICAL, QUICK, seed=0)
    assert set(accuracy(model, bare)) == set()
    assert list(history) == ["images", "lr", "colour", "place"]
    assert history["images"].tolist() == list(range(32, 321, 32))
    assert (history[["colour", "place"]] > 0).all().all()  # some are labelled in each batch
    assert model.shared == []


def test_class_indices_mask_what_is_not_a_class():
    assert class_indices(["b", "unknown", "a", "c"], ["a", "b"]).tolist() == [1, MASKED, 0, MASKED]


def test_balanced_weights_make_classes_equal_in_sum():
    targets = torch.tensor([0] * 6 + [1] * 2 + [MASKED] * 5)
    weights = balanced_weights(targets, 3)
    assert weights.tolist() == pytest.approx([8 / (2 * 6), 8 / (2 * 2), 0])


def test_round_trip(trained, tmp_path):
    save_recognizer(tmp_path, trained)
    loaded = load_recognizer(tmp_path, device="cpu")
    images = squares(4, 5).images
    assert loaded.heads == VERTICAL
    assert loaded.fingerprint() == trained.fingerprint()
    torch.testing.assert_close(loaded.features(images), trained.features(images))
    with pytest.raises(ModelError, match="cannot read"):
        load_recognizer(tmp_path / "absent")


def test_what_all_domains_tell_is_known_after_a_round_trip(trained, tmp_path):
    assert trained.shared == ["colour", "place"]
    one_colour = squares(64, 1)
    one_colour.labels["colour"] = "red"
    model, _ = train_recognizer([squares(64, 0), one_colour], VERTICAL, QUICK, seed=0)
    save_recognizer(tmp_path, model)
    loaded = load_recognizer(tmp_path, device="cpu")
    assert loaded.shared == model.shared == ["place"]
    large = to_float(squares(2, 0, size=64).images)
    assert {name: z.shape for name, z in loaded.read(large).items()} == {"place": (2, 2)}


def test_wrong_input_is_refused(trained):
    with pytest.raises(ModelError, match=r"takes uint8 \[N, 3, 32, 32\]"):
        trained.predict(squares(2, 0, size=48).images)
    with pytest.raises(ModelError, match="no image has a label for head 'place'"):
        train_recognizer([squares(40, 0)], HEADS, QUICK)
    with pytest.raises(ModelError, match="one image size"):
        train_recognizer([squares(40, 0), squares(40, 0, size=48)], VERTICAL, QUICK)
    with pytest.raises(ModelError, match="fewer than a batch of 32"):
        train_recognizer([squares(20, 0)], VERTICAL, QUICK)

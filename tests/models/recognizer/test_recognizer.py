"""The recognizer learns plain attributes and pays nothing for unknown ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from models.data.domain import Domain
from models.errors import ModelError
from models.recognizer.training import (
    MASKED,
    Recognizer,
    RecognizerSettings,
    accuracy,
    balanced_weights,
    class_indices,
    load_recognizer,
    masked_cross_entropy,
    save_recognizer,
    train_recognizer,
)

HEADS = {"colour": ["red", "green", "blue"], "place": ["left", "right"]}
QUICK = RecognizerSettings(images=1600, batch_size=32, lr=5e-3, channels=4)


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
    torch.set_num_threads(1)
    return train_recognizer([squares(300, 0), squares(300, 1)], VERTICAL, QUICK, seed=0)[0]


def test_learns_coloured_squares(trained):
    scores = accuracy(trained, squares(200, 2))
    assert scores["colour"]["balanced"] > 0.95
    assert scores["place"]["balanced"] > 0.9
    assert scores["colour"]["images"] == 200
    assert scores["colour"]["chance"] == pytest.approx(1 / 3)


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
    data, short = [squares(64, 0)], RecognizerSettings(images=256, batch_size=32, channels=4)
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


def test_head_that_one_domain_lacks_is_learned_from_the_other():
    labelled, bare = squares(200, 0), squares(200, 1)
    unknown = bare.labels.assign(colour="unknown").drop(columns="place")
    bare = Domain(bare.images, bare.ids, unknown)
    model, history = train_recognizer([labelled, bare], VERTICAL, QUICK, seed=0)
    assert accuracy(model, squares(200, 2))["colour"]["balanced"] > 0.9
    assert set(accuracy(model, bare)) == set()
    assert list(history) == ["images", "lr", "colour", "place"]
    assert history["images"].tolist() == list(range(160, 1601, 160))


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
    assert torch.equal(loaded.features(images), trained.features(images))
    with pytest.raises(ModelError, match="cannot read"):
        load_recognizer(tmp_path / "absent")


def test_wrong_input_is_refused(trained):
    with pytest.raises(ModelError, match=r"takes uint8 \[N, 3, 32, 32\]"):
        trained.predict(squares(2, 0, size=48).images)
    with pytest.raises(ModelError, match="no image has a label for head 'place'"):
        train_recognizer([squares(40, 0)], HEADS, QUICK)
    with pytest.raises(ModelError, match="one image size"):
        train_recognizer([squares(40, 0), squares(40, 0, size=48)], VERTICAL, QUICK)
    with pytest.raises(ModelError, match="fewer than a batch of 32"):
        train_recognizer([squares(20, 0)], VERTICAL, QUICK)

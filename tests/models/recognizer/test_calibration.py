"""Temperatures repair confidence and nothing else."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from models.data.domain import Domain
from models.recognizer.calibration import BINS, MIN_LABELS, calibrate, fit_temperature, reliability
from models.recognizer.calibration import reliabilities as measure
from models.recognizer.network import Recognizer
from models.recognizer.training import MASKED, load_recognizer, save_recognizer

HEADS = {"hair": ["black", "blonde", "red"], "smile": ["no", "yes"]}


def drawn(n: int = 20_000, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits, and labels drawn from exactly the probabilities that they state."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(n, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_temperature_recovers_a_known_scaling_of_the_logits(scale: float):
    logits, targets = drawn()
    assert fit_temperature(scale * logits, targets) == pytest.approx(scale, rel=0.03)


def test_temperature_is_the_minimum_of_the_loss():
    logits, targets = drawn(300)
    best = fit_temperature(3 * logits, targets)

    def loss(temperature: float) -> float:
        return F.cross_entropy(3 * logits.double() / temperature, targets).item()

    assert all(loss(best) < loss(best * factor) for factor in (0.5, 0.99, 1.01, 2.0))


def test_temperature_makes_confidence_true():
    logits, targets = drawn()
    sure = 4 * logits
    assert reliability(sure, targets).error > 0.15
    assert reliability(sure, targets, fit_temperature(sure, targets)).error < 0.02


def test_unknown_labels_take_no_part():
    logits, targets = drawn(200)
    nonsense = torch.cat([logits, 100 * torch.randn(50, 4)])
    masked = torch.cat([targets, torch.full((50,), MASKED)])
    assert fit_temperature(nonsense, masked) == fit_temperature(logits, targets)
    assert reliability(nonsense, masked).error == reliability(logits, targets).error


def test_what_cannot_be_fitted_keeps_temperature_1():
    logits, targets = drawn(200)
    few = targets.clone()
    few[MIN_LABELS - 1 :] = MASKED
    assert fit_temperature(4 * logits, few) == 1
    few[MIN_LABELS - 1] = targets[MIN_LABELS - 1]
    assert fit_temperature(4 * logits, few) != 1
    assert fit_temperature(logits, logits.argmax(1)) == 1  # always right: sharper for ever
    assert fit_temperature(logits, logits.argmin(1)) == pytest.approx(20)  # always wrong: the limit


def test_expected_calibration_error_by_hand():
    """Confidences 0.6, 0.6, 0.6 (bin 9 of 15: one of three right) and 0.9, 0.9 (both right)."""
    confidence = torch.tensor([0.6, 0.6, 0.6, 0.9, 0.9])
    logits = torch.stack([confidence.log(), (1 - confidence).log()], 1)
    measured = reliability(logits, torch.tensor([0, 1, 1, 0, 0]))
    # confidence 0.6 lies in (8/15, 9/15], 0.9 in (13/15, 14/15]
    expected = 3 / 5 * abs(1 / 3 - 0.6) + 2 / 5 * abs(1 - 0.9)
    assert measured.error == pytest.approx(expected, abs=1e-6)
    assert measured.counts.sum() == 5 and measured.counts[13] == 2
    assert measured.accuracy[13] == 1
    assert measured.confidence[13] == pytest.approx(0.9)


def test_expected_calibration_error_as_torchmetrics_has_it():
    logits, targets = drawn(500)
    theirs = multiclass_calibration_error((3 * logits).softmax(1), targets, 4, n_bins=BINS)
    assert reliability(3 * logits, targets).error == pytest.approx(theirs.item(), abs=1e-6)


def test_no_answer_has_no_error():
    assert reliability(torch.zeros(3, 2), torch.full((3,), MASKED)).error == 0


def sure_recognizer() -> Recognizer:
    """Untrained, with outputs blown up: its answers are too sure."""
    torch.manual_seed(0)
    model = Recognizer(HEADS, channels=4, image_size=16).eval()
    with torch.no_grad():
        for output in model.outputs.values():
            output.weight *= 300
    return model


def images(n: int, seed: int, **columns: object) -> Domain:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return Domain(pixels, [str(i) for i in range(n)], pd.DataFrame(columns, index=range(n)))


def test_calibrated_probabilities_keep_the_answer_and_survive_a_round_trip(tmp_path):
    hair = [HEADS["hair"][i % 3] for i in range(60)]
    one, other = images(60, 1, hair=hair, smile="unknown"), images(60, 2, hair=hair)
    model = sure_recognizer()
    before = model.predict(one.images)
    calibrate(model, [one, other])
    after = model.predict(one.images)
    assert model.temperatures["hair"] > 1
    assert model.temperatures["smile"] == 1
    assert torch.equal(after["hair"].argmax(1), before["hair"].argmax(1))
    assert after["hair"].max(1).values.mean() < before["hair"].max(1).values.mean()
    assert torch.equal(after["smile"], before["smile"])
    torch.testing.assert_close(after["hair"].sum(1), torch.ones(60))

    save_recognizer(tmp_path, model)
    loaded = load_recognizer(tmp_path, device="cpu")
    assert loaded.temperatures == model.temperatures
    torch.testing.assert_close(loaded.predict(one.images)["hair"], after["hair"])
    assert loaded.fingerprint() == sure_recognizer().fingerprint()  # what losses see is the same


def test_domains_are_fitted_together():
    hair = [HEADS["hair"][i % 3] for i in range(60)]
    one, other = images(60, 1, hair=hair), images(60, 2, hair=hair)
    model = sure_recognizer()
    logits = torch.cat([model.logits(domain.images)["hair"] for domain in (one, other)])
    calibrate(model, [one, other])
    expected = fit_temperature(logits, torch.tensor([i % 3 for i in range(60)] * 2))
    assert model.temperatures["hair"] == expected


def test_reliabilities_of_the_heads_that_a_domain_knows():
    hair = [HEADS["hair"][i % 3] for i in range(60)]
    model = sure_recognizer()
    calibrate(model, [images(60, 1, hair=hair)])
    measured = measure(model, images(60, 2, hair=hair, smile="unknown"))
    assert set(measured) == {"hair"}
    assert measured["hair"]["after"].error < measured["hair"]["before"].error
    assert math.isclose(measured["hair"]["before"].counts.sum(), 60)

"""`discriminator_attention: cam`: a discriminator's auxiliary classifiers, as U-GAT-IT has them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.errors import ModelError
from models.losses.adversarial import FORMS
from models.losses.objective import discriminator_terms, generator_terms, penalty_terms
from models.losses.penalties import slopes
from models.losses.step import Step
from models.networks.attention import ClassActivationAttention
from models.networks.discriminators import PatchDiscriminator
from models.networks.training_networks import TrainingNetworks
from models.training.engine import train
from models.variants import variant_from_dict
from tests.models.helpers import assert_descends, domain, settings, variant

DOMAINS = ("photos", "anime")
CAM = {"discriminator_attention": "cam"}
HAIR = {"hair": ["black", "blonde"]}


def real_images(n: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {d: torch.rand(n, 3, 32, 32) * 2 - 1 for d in DOMAINS}


def step_for(known=None, **changes) -> Step:
    torch.manual_seed(0)
    spec = variant("cyclegan", **CAM, **changes)
    return Step(TrainingNetworks(spec, 32), real_images(), spec, 0.5, labels=known)


def fakes_of(step: Step) -> dict[str, tuple[torch.Tensor, ...]]:
    return {d: (step.fake(d).detach(), *step.labels_of_fake(d)) for d in DOMAINS}


def test_features_are_weighed_and_then_judged():
    torch.manual_seed(0)
    judge = PatchDiscriminator(4, 2, attention="cam").double()
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    scores, logits = judge.verdicts(images)
    features = judge.body(images)
    mean, maximum = judge.cam.of_mean.weight[0], judge.cam.of_maximum.weight[0]
    expected = [features.mean((2, 3)) @ mean, features.flatten(2).max(2).values @ maximum]
    torch.testing.assert_close(logits, torch.stack(expected, dim=1))
    weighed = [features * mean[:, None, None], features * maximum[:, None, None]]
    joined = F.conv2d(torch.cat(weighed, dim=1), judge.cam.join.weight, judge.cam.join.bias)
    assert (joined < 0).any()
    torch.testing.assert_close(scores, judge.score(F.leaky_relu(joined, 0.2)))
    assert torch.equal(judge(images), scores)


def test_generators_attention_is_a_relu_still():
    layer = ClassActivationAttention(4)
    assert (layer(torch.randn(2, 4, 3, 3))[0] >= 0).all()


def test_adversarial_loss_is_that_of_scores_and_logits_added(monkeypatch):
    """By hand, least squares: ½ E[(D(y) − 1)²] + ½ E[D(G(x))²], ½ E[(D(G(x)) − 1)²]."""
    step = step_for()
    said = {
        "real": [torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 1.0]])],  # ¼ and ¼
        "fake": [
            torch.tensor([[1.0, -1.0]]),
            torch.tensor([[2.0, 0.0]]),
        ],  # ½ and 1; as real: 1, ½
    }

    def verdicts(images, domain, *labels):
        return said["real" if images is step.real[domain] else "fake"]

    monkeypatch.setattr(step, "verdicts", verdicts)
    terms = discriminator_terms(step, {d: (torch.zeros(1),) for d in DOMAINS})
    assert {name: value.item() for name, value in terms.items()} == {
        "discriminator_photos": 2.0,
        "discriminator_anime": 2.0,
    }
    assert generator_terms(step)["adversarial"].item() == 2 * 1.5


@pytest.mark.parametrize("form", FORMS)
def test_classifiers_learn_from_their_own_loss_and_generators_from_theirs(form):
    step = step_for(adversarial_form=form, penalty="gradient_penalty", losses={"adversarial": 1})
    judge = step.networks.discriminators["anime"]
    fakes = fakes_of(step)
    for name in ("of_mean", "of_maximum", "join"):
        assert torch.autograd.grad(
            discriminator_terms(step, fakes)["discriminator_anime"],
            getattr(judge.cam, name).weight,
        )[0].any()
    # Through the logits alone: they reach every weight of the generator.
    logits = step.verdicts_of_fake("anime")[1]
    weights = list(step.networks.translator.shallow_encoders["photos"].parameters())
    pulled = torch.autograd.grad(FORMS[form].generator(logits), weights, retain_graph=True)
    assert all(gradient.any() for gradient in pulled)
    both = torch.autograd.grad(generator_terms(step)["adversarial"], weights, retain_graph=True)
    patches = FORMS[form].generator(step.verdicts_of_fake("anime")[0])
    alone = torch.autograd.grad(patches, weights)
    for total, one, other in zip(both, pulled, alone, strict=True):
        torch.testing.assert_close(total, one + other)


def test_penalty_is_on_the_slope_of_all_that_the_loss_looks_at():
    step = step_for(penalty="r1")
    judge, real = step.networks.discriminators["anime"], step.real["anime"]

    def added(images):
        scores, logits = judge.verdicts(images)
        return (scores.mean((1, 2, 3)) + logits.mean(1))[:, None]

    expected = 0.5 * slopes(added, real).square().mean()
    penalty = penalty_terms(step, fakes_of(step))["penalty_anime"]
    torch.testing.assert_close(penalty, expected)
    assert penalty > 1.5 * 0.5 * slopes(judge, real).square().mean()
    for weight in (judge.cam.of_mean.weight, judge.cam.of_maximum.weight):
        assert torch.autograd.grad(penalty, weight, retain_graph=True)[0].any()


@pytest.mark.parametrize("norm", ["instance", "spectral", "none"])
def test_with_labels_norms_and_antialiasing(norm):
    changes = {"discriminator_norm": norm, "labels": HAIR, "antialias": True}
    labels = {d: torch.eye(3)[:2] for d in DOMAINS}
    step = step_for(labels, **changes)
    judge = step.networks.discriminators["photos"]
    scores, logits = step.verdicts(step.real["photos"], "photos", labels["photos"])
    assert logits.shape == (2, 2)
    assert not torch.equal(
        scores, step.verdicts(step.real["photos"], "photos", 0 * labels["photos"])[0]
    )
    sum(discriminator_terms(step, fakes_of(step)).values()).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in judge.parameters())
    if norm == "spectral":
        for layer in (judge.cam.of_mean, judge.cam.of_maximum, judge.cam.join):
            for _ in range(30):  # power iterations
                matrix = layer.weight
            assert torch.linalg.matrix_norm(matrix.flatten(1), 2).item() == pytest.approx(
                1, rel=0.05
            )


def test_no_adversarial_loss_no_classifier_and_no_call(monkeypatch):
    spec = variant("cyclegan", **CAM, losses={"cycle": 1})
    assert not TrainingNetworks(spec, 32).discriminators
    monkeypatch.setattr(ClassActivationAttention, "forward", None)
    photos, anime = domain("photos"), domain("anime")
    train(spec, settings(budget_images=8), photos, anime, (photos, anime))
    plain = variant("cyclegan")
    assert all(judge.cam is None for judge in TrainingNetworks(plain, 32).discriminators.values())
    train(plain, settings(budget_images=8), photos, anime, (photos, anime))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adversarial_form": "hinge", "discriminator_norm": "spectral"},
        {
            "adversarial_form": "wasserstein",
            "penalty": "gradient_penalty",
            "discriminator_norm": "none",
            "diff_augment": ["translation"],
        },
    ],
    ids=["lsgan", "hinge", "wasserstein"],
)
def test_generators_and_such_discriminators_learn(changes):
    step = step_for(**changes)

    def fresh() -> Step:
        return Step(step.networks, step.real, step.variant, 0.5)

    def verdict() -> torch.Tensor:
        now, fakes = fresh(), fakes_of(step)
        return sum(discriminator_terms(now, fakes).values())

    judges = step.networks.discriminators
    assert_descends(verdict, judges.parameters())
    objective = lambda: sum(generator_terms(fresh()).values())  # noqa: E731
    assert_descends(objective, step.networks.translator.parameters())
    photos, anime = domain("photos"), domain("anime")
    result = train(step.variant, settings(budget_images=8), photos, anime, (photos, anime))
    assert result.history.notna().all().all()
    assert variant_from_dict(step.variant.to_dict()) == step.variant


def test_mistake_is_named():
    with pytest.raises(ModelError, match="discriminator_attention 'self': did you mean 'none'"):
        variant_from_dict({"discriminator_attention": "self"}, name="v")

"""Adversarial losses by hand and by their gradients; penalties against known slopes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from models.losses import penalties
from models.losses.adversarial import FORMS
from models.networks.discriminators import PatchDiscriminator
from models.variants import Variant

REAL, FAKE = [1.0, 3.0], [0.0, 0.5]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("form", "generator", "discriminator"),
    [
        ("lsgan", 0.5 * (1 + 0.25) / 2, 0.5 * (0 + 4) / 2 + 0.5 * 0.25 / 2),
        ("hinge", -0.25, 0 + (1 + 1.5) / 2),
        ("wasserstein", -0.25, 0.25 - 2),
        (
            "non_saturating",
            (softplus(0) + softplus(-0.5)) / 2,
            (softplus(-1) + softplus(-3)) / 2 + (softplus(0) + softplus(0.5)) / 2,
        ),
    ],
)
def test_forms_by_hand(form, generator, discriminator):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert FORMS[form].generator(fake).item() == pytest.approx(generator)
    assert FORMS[form].discriminator(real, fake).item() == pytest.approx(discriminator)


def test_every_form_and_penalty_can_be_chosen():
    knobs = Variant.__dataclass_fields__
    assert tuple(FORMS) == knobs["adversarial_form"].metadata["choices"]
    assert ("none", *penalties.PENALTIES) == knobs["penalty"].metadata["choices"]


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_the_numeric_ones_and_pull_opposite_ways(form):
    real, fake = (
        torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in ([1.3, 0.2], [0.4, 0.7])
    )
    assert torch.autograd.gradcheck(FORMS[form].generator, fake)
    assert torch.autograd.gradcheck(FORMS[form].discriminator, (real, fake))
    (wanted,) = torch.autograd.grad(FORMS[form].generator(fake), fake)
    (refused,) = torch.autograd.grad(FORMS[form].discriminator(real, fake), fake)
    # A softmax over a single unit would give zeros here: no lesson at all.
    assert (wanted < 0).all() and (refused > 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_losses_do_not_depend_on_how_many_scores_there_are(form):
    """A mean divided by the number of elements once more would."""
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert FORMS[form].generator(fake.repeat(5)) == FORMS[form].generator(fake)
    assert FORMS[form].discriminator(real.repeat(5), fake.repeat(3)).item() == pytest.approx(
        FORMS[form].discriminator(real, fake).item()
    )


class Plane(nn.Module):
    """Scores w · x over all pixels, in two equal patches: the slope is ‖w‖ everywhere."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = (images * self.weight).flatten(1).sum(1)
        return score[:, None, None, None].expand(-1, 1, 1, 2)


def test_penalties_of_a_plane_follow_from_its_slope():
    weight = torch.randn(3, 4, 4, dtype=torch.float64)
    weight *= 2.5 / weight.norm()
    critic = Plane(weight)
    real, fake = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
    assert penalties.r1(critic, real, fake).item() == pytest.approx(0.5 * 2.5**2)
    assert penalties.zero_centred(critic, real, fake).item() == pytest.approx(2.5**2)
    assert penalties.gradient_penalty(critic, real, fake).item() == pytest.approx(1.5**2)


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_second_order_gradients_are_the_numeric_ones(name):
    """d penalty / d weights of a small network, by central differences in float64."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Conv2d(4, 1, 2)).double()
    real, fake = torch.randn(2, 3, 3, 5, 5, dtype=torch.float64)
    weights = list(critic.parameters())

    def penalty(*values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)  # the same points between real and fake each time
        named = dict(zip(dict(critic.named_parameters()), values, strict=True))
        return penalties.PENALTIES[name](
            lambda x: torch.func.functional_call(critic, named, (x,)), real, fake
        )

    values = [weight.detach().clone().requires_grad_() for weight in weights]
    assert torch.autograd.gradcheck(penalty, values, atol=1e-6)


def test_r1_looks_at_real_images_alone():
    critic = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Softplus())
    real = torch.randn(2, 3, 5, 5)
    values = {penalties.r1(critic, real, fake).item() for fake in torch.randn(3, 2, 3, 5, 5)}
    assert len(values) == 1


def test_points_between_lie_on_the_line():
    real, fake = torch.ones(64, 3, 2, 2), torch.zeros(64, 3, 2, 2)
    shares = penalties.between(real, fake)[:, 0, 0, 0]
    assert (shares >= 0).all() and (shares <= 1).all() and shares.std() > 0.2
    torch.testing.assert_close(penalties.between(real, fake).std((1, 2, 3)), torch.zeros(64))


def test_clipping_bounds_every_weight():
    critic = PatchDiscriminator(4, 2, "none")
    with torch.no_grad():
        for weight in critic.parameters():
            weight += 1
    penalties.clip_weights(list(critic.parameters()), 0.01)
    assert all(weight.abs().max() <= 0.01 for weight in critic.parameters())


def test_spectral_norm_gives_every_layer_a_largest_singular_value_of_one():
    torch.manual_seed(0)
    critic = PatchDiscriminator(8, 2, "spectral")
    for _ in range(30):  # power iterations
        critic(torch.randn(1, 3, 32, 32))
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert largest.item() == pytest.approx(1, abs=0.02)

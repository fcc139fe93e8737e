"""Each loss against its definition in float64 or an example worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from models.losses import functions as losses


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, 3, 4, 4, generator=generator, dtype=torch.float64)
    return a, b


@pytest.mark.parametrize("loss", [losses.cycle, losses.identity, losses.reconstruction])
def test_pixel_losses_are_the_mean_absolute_difference(loss, pair):
    a, b = pair
    expected = (
        sum(abs(x - y) for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
        / a.numel()
    )
    assert loss(a, b).item() == pytest.approx(expected, rel=1e-12)
    assert loss(a, a).item() == 0


def test_semantic_consistency_sees_directions_not_lengths():
    code = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    assert losses.semantic_consistency(code, 100 * code).item() == pytest.approx(0, abs=1e-6)
    turned = torch.tensor([[0.0, 7.0], [0.0, 1.0]])  # first code at right angles: distance √2
    assert losses.semantic_consistency(code, turned).item() == pytest.approx(math.sqrt(2) / 2)
    assert losses.semantic_consistency(code, -code).item() == pytest.approx(2)


def test_semantic_consistency_of_equal_codes_has_a_finite_gradient():
    code = torch.ones(2, 5, requires_grad=True)
    losses.semantic_consistency(code, code.detach().clone()).backward()
    assert code.grad.isfinite().all()


def test_domain_adversarial_is_binary_cross_entropy_with_anime_as_one():
    photos, anime = torch.tensor([[-1.0], [2.0]]), torch.tensor([[0.5]])
    expected = 0.5 * (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2
    expected += 0.5 * math.log1p(math.exp(-0.5))
    assert losses.domain_adversarial(photos, anime).item() == pytest.approx(expected, rel=1e-6)


def test_reversed_gradient_is_minus_scale_times_the_numeric_one():
    """gradcheck compares with the forward function, whose slope the reversal negates."""
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: losses.reverse_gradient(x, -1.0) ** 3, x)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda x: losses.reverse_gradient(x, 1.0) ** 3, x)
    (gradient,) = torch.autograd.grad((losses.reverse_gradient(x, 0.3) * 2).sum(), x)
    assert torch.equal(gradient, torch.full_like(x, -0.6))


def test_domain_adversarial_misleads_the_encoder_and_teaches_the_classifier():
    """One descent step lowers the loss for the classifier alone and raises it for the codes."""
    torch.manual_seed(0)
    codes = (torch.randn(2, 8, 3, dtype=torch.float64)).requires_grad_()
    classifier = torch.randn(3, 1, dtype=torch.float64, requires_grad=True)

    def loss(codes, classifier):
        photos, anime = losses.reverse_gradient(codes, 1.0) @ classifier
        return losses.domain_adversarial(photos, anime)

    before = loss(codes, classifier)
    to_codes, to_classifier = torch.autograd.grad(before, [codes, classifier])
    assert loss(codes, classifier - 0.1 * to_classifier) < before
    assert loss(codes - 0.1 * to_codes, classifier) > before


def test_least_squares_form_misleads_the_encoder_and_teaches_the_classifier():
    """D minimises its own error; through the reversal the same step raises it for the codes."""
    codes = torch.tensor([[0.9], [0.3]], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def loss(codes, scale):
        photos, anime = losses.reverse_gradient(codes, 1.0) * scale
        return losses.domain_least_squares(photos, anime)

    before = loss(codes, scale)
    assert before.item() == pytest.approx(0.5 * 0.9**2 + 0.5 * 0.7**2)
    to_codes, to_scale = torch.autograd.grad(before, [codes, scale])
    assert loss(codes, scale - 0.1 * to_scale) < before
    assert loss(codes - 0.1 * to_codes, scale) > before


def test_perceptual_compares_directions_at_each_position():
    one = torch.tensor([[[[3.0, 1.0]], [[0.0, 0.0]]]])  # [1, 2, 1, 2]: (3, 0) and (1, 0)
    other = torch.tensor([[[[9.0, 0.0]], [[0.0, 5.0]]]])  # (9, 0) and (0, 5)
    assert losses.perceptual([one], [other]).item() == pytest.approx((0 + 2) / 2)
    assert losses.perceptual([one, one], [other, one]).item() == pytest.approx(1 / 2)
    assert losses.perceptual([one], [7 * one]).item() == pytest.approx(0)


def test_teacher_is_the_distance_of_unit_vectors():
    student, wanted = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 3.0], [0.0, 8.0]])
    assert losses.teacher(student, wanted).item() == pytest.approx(math.sqrt(2) / 2)


@pytest.mark.parametrize(
    "loss",
    [
        losses.semantic_consistency,
        losses.teacher,
        lambda a, b: losses.perceptual([a], [b]),
        losses.domain_adversarial,
        losses.domain_least_squares,
    ],
)
def test_gradients_are_the_numeric_ones(loss, pair):
    a, b = (x.clone().requires_grad_() for x in pair)
    assert torch.autograd.gradcheck(loss, (a, b))


def test_reversal_ramp_starts_at_nothing_and_ends_near_one():
    assert losses.reversal_ramp(0) == 0
    assert losses.reversal_ramp(0.1) == pytest.approx(math.tanh(0.5))  # 2/(1+e^-1) − 1
    assert losses.reversal_ramp(1) == pytest.approx(1, abs=1e-4)


def test_colour_weighs_luma_as_much_as_both_chromas():
    wanted = torch.zeros(2, 3, 56), torch.zeros(2, 3, 1)
    for channel, expected in enumerate((0.5, 0.25, 0.25)):
        for part in range(2):  # cells, and the mean of hair, which weighs as much as all of them
            off = wanted[0].clone(), wanted[1].clone()
            off[part][:, channel] = 0.5
            assert losses.colour(off, wanted).item() == pytest.approx(expected)


def test_attributes_are_the_divergence_of_what_is_read_a_mean_over_heads():
    sure, unsure = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    divergence = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    one = losses.attributes({"smile": unsure}, {"smile": sure})
    assert one.item() == pytest.approx(divergence)
    both = losses.attributes({"smile": unsure, "hair": sure}, {"smile": sure, "hair": sure})
    assert both.item() == pytest.approx(divergence / 2)
    shifted = {"smile": sure + 3}  # logits may have any offset
    assert losses.attributes(shifted, {"smile": sure}).item() == pytest.approx(0, abs=1e-6)


def test_gradient_of_attributes():
    z, wanted = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: losses.attributes({"hair": z}, {"hair": wanted}), z.requires_grad_()
    )


def test_gradient_of_colour():
    torch.manual_seed(0)
    one, two = (torch.rand(1, 3, 6, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(
        lambda x: losses.colour((x, x[..., :1]), (two, two[..., :1])), one.requires_grad_()
    )

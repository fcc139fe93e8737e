"""Attention and adaptive norms: against the papers' equations, at the start, and in training."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.checkpoint import load_translator, save_translator
from models.errors import ModelError
from models.losses import functions as losses
from models.losses.objective import discriminator_terms, generator_terms, penalty_terms
from models.losses.step import Step
from models.networks.attention import ClassActivationAttention, SelfAttention
from models.networks.blocks import AdaLINBlocks
from models.networks.norms import LIN, AdaLIN, clip_share, mixed_norm
from models.networks.training_networks import TrainingNetworks
from models.networks.translator import TranslationNetwork
from models.training.engine import train
from models.variants import variant_from_dict
from tests.models.helpers import assert_descends, assert_same_pictures, domain, settings, variant


def test_self_attention_is_sagans():
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    x = torch.randn(2, 16, 3, 5, dtype=torch.float64)
    assert torch.equal(layer(x), x)  # γ starts at 0
    layer.gamma.data.fill_(0.7)
    f, g, h = (
        torch.einsum("oc,nchw->nohw", m.weight[:, :, 0, 0], x).flatten(2)
        for m in (layer.key, layer.query, layer.value)
    )
    share = torch.einsum("nci,ncj->nij", f, g).softmax(dim=1)  # over the positions i seen from j
    seen = torch.einsum("nci,nij->ncj", h, share)
    expected = x + 0.7 * torch.einsum("oc,ncj->noj", layer.out.weight[:, :, 0, 0], seen).view_as(x)
    torch.testing.assert_close(layer(x), expected)


def test_class_activation_attention_is_u_gat_its():
    torch.manual_seed(0)
    layer = ClassActivationAttention(4).double()
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    attended, logits = layer(x)
    mean, maximum = layer.of_mean.weight[0], layer.of_maximum.weight[0]
    expected = torch.stack([x.mean((2, 3)) @ mean, x.flatten(2).max(2).values @ maximum], dim=1)
    torch.testing.assert_close(logits, expected)
    both = torch.cat([x * mean[:, None, None], x * maximum[:, None, None]], dim=1)
    torch.testing.assert_close(attended, F.conv2d(both, layer.join.weight, layer.join.bias).relu())


def test_cam_loss_wants_an_encoder_to_know_its_own_domain():
    own, others = torch.tensor([[0.5, -1.0]]).double(), torch.tensor([[2.0, 0.0]]).double()
    expected = -own.sigmoid().log().mean() - (1 - others.sigmoid()).log().mean()
    torch.testing.assert_close(losses.cam(own, others), expected)
    assert torch.autograd.gradcheck(losses.cam, (own.requires_grad_(), others.requires_grad_()))


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
def test_cam_term_compares_each_encoder_on_both_domains(architecture):
    spec = variant(architecture, attention="cam", losses={"cam": 1})
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    networks = TrainingNetworks(spec, 32)
    logits = networks.translator.encode_with_logits
    expected = sum(
        losses.cam(logits(real[own], own)[1], logits(real[stranger], own)[1])
        for own, stranger in (("photos", "anime"), ("anime", "photos"))
    )
    torch.testing.assert_close(generator_terms(Step(networks, real, spec, 0.5))["cam"], expected)


def test_cam_loss_alone_teaches_an_encoder_which_images_are_its_own():
    spec = variant("cyclegan", attention="cam", losses={"cam": 1})
    networks = TrainingNetworks(spec, 32)
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    assert_descends(
        lambda: generator_terms(Step(networks, real, spec, 0.5))["cam"],
        networks.translator.shallow_encoders.parameters(),
    )


def test_clipped_share_stops_only_gradients_that_lead_further_out():
    rho = torch.tensor([-0.2, -0.2, 0.0, 0.4, 1.0, 1.3, 1.3], requires_grad=True)
    descent = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    share = clip_share(rho)
    assert share.tolist() == pytest.approx([0, 0, 0, 0.4, 1, 1, 1])
    share.backward(descent)
    assert rho.grad.tolist() == [0, -1, 1, 1, -1, 0, 1]


def test_mixed_norm_is_adalins_equation():
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(2, 5, 4, 6, dtype=torch.float64)
    rho = torch.tensor([-1, 0, 0.3, 1, 2]).double().view(5, 1, 1)
    gamma, beta = torch.randn(2, 2, 5, 1, 1, dtype=torch.float64)

    def standardised(dims):
        mean, variance = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    share = torch.tensor([0, 0, 0.3, 1, 1]).double().view(5, 1, 1)
    mixed = share * standardised((2, 3)) + (1 - share) * standardised((1, 2, 3))
    expected = gamma * mixed + beta
    torch.testing.assert_close(mixed_norm(x, rho, gamma, beta), expected, rtol=1e-6, atol=1e-6)
    last = x.contiguous(memory_format=torch.channels_last)
    y = mixed_norm(last, rho, gamma, beta)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    assert (
        mixed_norm(x.bfloat16(), rho.float(), gamma.float(), beta.float()).dtype is torch.bfloat16
    )


def test_adaptive_blocks_start_as_plain_ones_and_follow_their_input():
    torch.manual_seed(0)
    blocks = AdaLINBlocks(4, 2).double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    blocks.style[-1].weight.data.zero_()
    blocks.style[-1].bias.data.zero_()
    expected = x
    for block in blocks.blocks:
        one, nought = torch.ones(2, 4, 1, 1).double(), torch.zeros(2, 4, 1, 1).double()
        inner = F.relu(block.norms[0](block.convs[0](expected), one, nought))
        expected = expected + block.norms[1](block.convs[1](inner), one, nought)
    torch.testing.assert_close(blocks(x), expected)
    blocks.style[-1].bias.data[4:] = 0.5  # β
    assert not torch.allclose(blocks(x), expected)


def test_adalin_is_the_decoders_and_encoders_keep_the_instance_norm():
    network = TranslationNetwork(variant("cyclegan", norm="adalin"), 32)

    def norms(*parts):
        return [m for part in parts for m in part.modules() if isinstance(m, LIN | AdaLIN)]

    assert not norms(network.shallow_encoders, network.deep_encoders)
    # A block and an enlargement in each deep decoder, an enlargement in each shallow one.
    assert [type(m) for m in norms(network.deep_decoders["anime"])] == [AdaLIN, AdaLIN, LIN]
    assert [type(m) for m in norms(network.shallow_decoders["anime"])] == [LIN]


SWITCHES = {
    "antialias": ("cyclegan", {"antialias": True, "penalty": "r1"}),
    "antialias nearest": ("cyclegan", {"antialias": True, "upsampling": "nearest"}),
    "self": ("cyclegan", {"attention": "self"}),
    "self residual": ("cyclegan", {"attention": "self", "residual": True}),
    "cam": ("xgan", {"attention": "cam", "losses": {"cam": 1, "adversarial": 1, "cycle": 1}}),
    "adalin": ("cyclegan", {"norm": "adalin"}),
    "adalin embedding": ("xgan", {"norm": "adalin", "embedding": 8, "antialias": True}),
    "published": ("xgan_published", {"embedding": 8}),
    "published cam": ("xgan_published", {"embedding": 8, "attention": "cam", "antialias": True}),
}


@pytest.fixture(params=SWITCHES)
def spec(request):
    architecture, changes = SWITCHES[request.param]
    return variant(architecture, **changes)


def test_gradients_of_every_weight_are_finite(spec):
    torch.manual_seed(0)
    networks = TrainingNetworks(spec, 32)
    for layer in networks.modules():
        if isinstance(layer, SelfAttention):
            layer.gamma.data.fill_(0.5)  # at 0 nothing reaches what it scales
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    step = Step(networks, real, spec, 0.5)
    sum(generator_terms(step).values()).backward()
    weights = dict(networks.translator.named_parameters())
    assert all(w.grad is not None and w.grad.isfinite().all() for w in weights.values())
    still = [name for name, w in weights.items() if not w.grad.abs().sum() > 0]
    assert not still
    networks.zero_grad()
    fakes = {d: (step.fake(d).detach(),) for d in real}
    judged = discriminator_terms(step, fakes) | penalty_terms(step, fakes)
    sum(judged.values()).backward()
    assert all(w.grad.isfinite().all() for w in networks.discriminators.parameters())


def test_trains_in_bf16_and_round_trips(spec, tmp_path):
    assert variant_from_dict(spec.to_dict()) == spec
    photos, anime = domain("photos", 4), domain("anime", 4)
    plan = settings(budget_images=8, precision="bf16")
    result = train(spec, plan, photos, anime, (photos, anime))
    assert result.history.notna().all().all()
    save_translator(tmp_path, result.translator, result.key, 8)
    loaded = load_translator(tmp_path, "cpu")
    assert loaded.variant == spec
    drawn = result.translator.translate(photos.images, "photos2anime")
    assert_same_pictures(loaded.translate(photos.images, "photos2anime"), drawn)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "sefl"}, "unknown attention 'sefl': did you mean 'self'?"),
        ({"norm": "adain"}, "unknown norm 'adain': did you mean 'adalin'?"),
        ({"antialias": 1}, "`antialias` must be true or false"),
        ({"antialiased": True}, "did you mean 'antialias'?"),
        ({"losses": {"cam": 1}}, "set `attention: cam`"),
        ({"losses": {"cam": 1}, "attention": "self"}, "set `attention: cam`"),
        ({"norm": "adalin", "blocks": 1}, "set `blocks` to 2 or more"),
        ({"architecture": "xgan_published"}, "set `embedding: 1024`"),
        ({"architecture": "xgan_publishd"}, "did you mean 'xgan_published'?"),
        (
            {"architecture": "xgan_published", "embedding": 8, "norm": "adalin"},
            "architecture cyclegan or xgan",
        ),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ModelError) as error:
        variant_from_dict({"channels": 4, **changes}, name="v")
    assert message in str(error.value)

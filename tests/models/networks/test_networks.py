"""Shapes, sharing, initial weights and memory format."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.errors import ModelError
from models.networks.blocks import Blur, conv_block
from models.networks.discriminators import DomainClassifier, PatchDiscriminator
from models.networks.norms import Norm2d
from models.networks.training_networks import TrainingNetworks
from models.networks.translator import TranslationNetwork
from models.variants import BUILT_IN, variant_from_dict
from tests.models.helpers import variant


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
@pytest.mark.parametrize("embedding", [0, 24])
@pytest.mark.parametrize("size", [32, 48])
def test_translates_to_the_same_size_within_range(architecture, upsampling, embedding, size):
    spec = variant(architecture, upsampling=upsampling, embedding=embedding)
    network = TranslationNetwork(spec, size)
    images = torch.rand(2, 3, size, size) * 2 - 1
    code = network.encode(images, "photos")
    assert code.shape == ((2, 24) if embedding else (2, 16, size // 4, size // 4))
    drawn = network.translate(images, "photos2anime")
    assert drawn.shape == images.shape
    assert drawn.abs().max() <= 1
    torch.testing.assert_close(drawn, network.decode(code, "anime"))


def reached(network: TranslationNetwork, domain: str, size: int = 32) -> set[int]:
    """Which weights the code of an image of `domain` depends on."""
    weights = list(network.parameters())
    code = network.encode(torch.rand(1, 3, size, size), domain)
    grads = torch.autograd.grad(code.sum(), weights, allow_unused=True)
    return {id(weight) for weight, grad in zip(weights, grads, strict=True) if grad is not None}


@pytest.mark.parametrize("embedding", [0, 24])
def test_xgan_shares_the_deep_half_and_cyclegan_shares_nothing(embedding):
    xgan = TranslationNetwork(variant("xgan", embedding=embedding), 32)
    deep = [*xgan.deep_encoders["both"].parameters(), *xgan.to_codes["both"].parameters()]
    assert reached(xgan, "photos") & reached(xgan, "anime") == {id(weight) for weight in deep}
    cyclegan = TranslationNetwork(variant("cyclegan", embedding=embedding), 32)
    assert not reached(cyclegan, "photos") & reached(cyclegan, "anime")


def test_weights_start_as_published():
    network = TranslationNetwork(variant("cyclegan", channels=16), 32)
    weights = torch.cat([p.flatten() for name, p in network.named_parameters() if "weight" in name])
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("size", [30, 8])
def test_unusable_image_sizes_are_refused(size):
    with pytest.raises(ModelError, match="must be a multiple of 4"):
        TranslationNetwork(variant("cyclegan"), size)


def test_patches_larger_than_the_image_are_refused():
    with pytest.raises(ModelError, match="16 px are too few for discriminator_layers 3"):
        TrainingNetworks(variant("cyclegan", discriminator_layers=3), 16)
    critic = TrainingNetworks(variant("cyclegan", discriminator_layers=3), 24).discriminators
    assert critic["anime"](torch.zeros(1, 3, 24, 24)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("layers", "size", "side"), [(1, 32, 14), (2, 32, 6), (3, 64, 6)])
def test_discriminator_scores_a_grid_of_patches(layers, size, side):
    scores = PatchDiscriminator(4, layers)(torch.zeros(2, 3, size, size))
    assert scores.shape == (2, 1, side, side)


def test_patch_is_34_pixels_wide_with_two_layers():
    """The score in the middle depends on exactly the pixels of its patch, as the norm-free
    receptive field has it: 34 pixels for two layers."""
    critic = PatchDiscriminator(4, 2)
    for module in critic.modules():
        if isinstance(module, Norm2d):
            module.forward = lambda x: x
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    critic(image)[0, 0, 7, 7].backward()
    columns = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (columns.max() - columns.min() + 1).item() == 34


def test_domain_classifier_takes_maps_and_vectors():
    assert DomainClassifier(8)(torch.zeros(2, 8, 4, 4)).shape == (2, 1)
    assert DomainClassifier(8)(torch.zeros(2, 8)).shape == (2, 1)


@pytest.mark.parametrize("kind", ["instance", "layer"])
def test_norm_keeps_channels_last_and_the_values(kind):
    x = 3 + torch.randn(2, 6, 8, 8)
    last = Norm2d(kind)(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    stock = torch.nn.InstanceNorm2d(6) if kind == "instance" else torch.nn.LayerNorm([6, 8, 8])
    torch.testing.assert_close(last, stock(x))


def test_residual_generator_starts_from_a_copy():
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    network = TranslationNetwork(variant("cyclegan", residual=True), 32)
    with torch.no_grad():
        assert (network.translate(images, "photos2anime") - images).abs().mean() < 0.2
        for decoder in network.shallow_decoders.values():
            decoder[-1].weight.zero_()
        copy = network.translate(images, "anime2photos")
    torch.testing.assert_close(copy, 0.95 * images)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("xgan", {}),
        ("cyclegan", {"embedding": 8}),
        ("cyclegan", {"losses": {"domain_adversarial": 1}}),
        ("cyclegan", {"losses": {"semantic_consistency": 1}}),
    ],
)
def test_residual_is_refused_where_codes_are_compared(architecture, changes):
    with pytest.raises(ModelError, match="needs architecture cyclegan"):
        variant(architecture, residual=True, **changes)


def test_generator_parameters_are_all_but_the_discriminators():
    networks = TrainingNetworks(variant("xgan"), 32)
    ours = {id(p) for p in networks.generator_parameters()}
    critics = {id(p) for p in networks.discriminators.parameters()}
    assert not ours & critics
    assert ours | critics == {id(p) for p in networks.parameters()}


def published(**changes):
    return variant_from_dict({**BUILT_IN["xgan_published"].to_dict(), **changes})


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
def test_published_xgan_has_the_papers_layers(upsampling):
    network = TranslationNetwork(published(upsampling=upsampling), 64)
    seen: list[list[int]] = []
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _m, _x, y: seen.append(list(y.shape[1:])))
    with torch.no_grad():
        code = network.encode(torch.rand(2, 3, 64, 64) * 2 - 1, "photos")
        encoder, seen[:] = list(seen), []
        drawn = network.decode(code, "anime")
    maps = [[32, 32, 32], [64, 16, 16], [128, 8, 8], [256, 4, 4]]
    assert encoder == [*maps, [1024], [1024]]
    assert code.shape == (2, 1024) and drawn.shape == (2, 3, 64, 64)
    torch.testing.assert_close(code.norm(dim=1), torch.ones(2))
    assert seen == [[512 * 4 * 4], [256, 8, 8], [128, 16, 16], [64, 32, 32], [3, 64, 64]]


def test_published_xgan_shares_the_deep_half():
    network = TranslationNetwork(published(channels=4, embedding=16), 64)
    deep = [*network.deep_encoders["both"].parameters(), *network.to_codes["both"].parameters()]
    assert reached(network, "photos", 64) & reached(network, "anime", 64) == {id(w) for w in deep}
    assert set(network.deep_decoders) == {"both"}
    assert set(network.shallow_decoders) == {"photos", "anime"}


@pytest.mark.parametrize("size", [72, 16])
def test_published_xgan_refuses_image_sizes_it_cannot_halve_four_times(size):
    with pytest.raises(ModelError, match="must be a multiple of 16 and at least 32 .*published"):
        TranslationNetwork(published(), size)


ANTIALIASED = {
    "cyclegan": {"antialias": True},
    "cyclegan nearest": {"antialias": True, "upsampling": "nearest"},
    "xgan_published": {"antialias": True, "embedding": 8},
}


@pytest.mark.parametrize("name", ANTIALIASED)
def test_antialiasing_keeps_shapes_and_adds_no_weights(name):
    architecture, changes = name.split()[0], ANTIALIASED[name]
    spec, plain = (variant(architecture, **{**changes, "antialias": x}) for x in (True, False))
    smooth, rough = (TrainingNetworks(s, 64) for s in (spec, plain))
    count = [sum(p.numel() for p in n.parameters()) for n in (smooth, rough)]
    assert count[0] == count[1]
    images = torch.rand(1, 3, 64, 64)
    for network in (smooth, rough):
        assert network.translator.translate(images, "anime2photos").shape == images.shape
    sides = [n.discriminators["anime"](images).shape for n in (smooth, rough)]
    assert sides[0] == sides[1]


def test_antialiasing_blurs_after_every_stride():
    network = TrainingNetworks(variant("cyclegan", antialias=True), 64)
    strides = [m.stride for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert set(strides) == {(1, 1)}  # all pixels are convolved
    blurs = [m.stride for m in network.modules() if isinstance(m, Blur)]
    # Two enlargements of each decoder; two halvings of each encoder and of each discriminator.
    assert sorted(blurs) == [1] * 4 + [2] * 8
    assert not any(isinstance(m, Blur) for m in TrainingNetworks(variant("xgan"), 64).modules())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_blur_is_the_binomial_filter(stride, side):
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    kernel = torch.outer(row, row).expand(3, 1, 3, 3)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    expected = F.conv2d(padded, kernel, stride=stride, groups=3)
    torch.testing.assert_close(Blur(stride)(x), expected)
    last = Blur(stride)(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_antialiased_halving_hardly_depends_on_where_the_pixels_fall():
    """Zhang (2019): a shift by one pixel changes the small picture of a fine pattern less."""
    torch.manual_seed(0)
    images = torch.rand(2, 4, 32, 33)

    def change(antialias: bool) -> float:
        torch.manual_seed(1)
        half = conv_block(4, 4, 3, "none", stride=2, antialias=antialias)
        half[1] = torch.nn.Identity()
        left, right = half(images[..., :-1]), half(images[..., 1:])
        inner = (..., slice(2, -2), slice(2, -2))
        return ((left - right)[inner].norm() / left[inner].norm()).item()

    with torch.no_grad():
        assert change(True) < 0.7 * change(False)

"""Shapes, sharing, initial weights and memory format."""

from __future__ import annotations

import pytest
import torch

from models.blocks import Norm2d
from models.errors import ModelError
from models.networks import (
    DomainClassifier,
    PatchDiscriminator,
    TrainingNetworks,
    TranslationNetwork,
)
from tests.models.helpers import variant


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
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


def test_xgan_shares_the_deep_half_and_cyclegan_shares_nothing():
    def reached(spec, domain):
        network = TranslationNetwork(spec, 32)
        network.encode(torch.zeros(1, 3, 32, 32), domain).sum().backward()
        return {name for name, p in network.named_parameters() if p.grad is not None}

    shared = reached(variant("xgan"), "photos") & reached(variant("xgan"), "anime")
    assert shared
    assert all(name.startswith("deep_encoders.both") for name in shared)
    assert not reached(variant("cyclegan"), "photos") & reached(variant("cyclegan"), "anime")


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

"""EfficientNet-Lite is the network that its weights were trained for."""

from __future__ import annotations

import math

import efficientnet_lite_pytorch
import pytest
import torch

from models.errors import ModelError
from models.public import efficientnet
from models.public.door import weights_file
from models.public.efficientnet import CHANNELS, DEPTH, EfficientNet
from models.public.table import TABLE


def use_of(name: str) -> str:
    (use,) = TABLE[name].uses
    return use


@pytest.fixture(scope="module", params=DEPTH)
def network(request: pytest.FixtureRequest) -> tuple[str, EfficientNet]:
    """Each network on the CPU, in float32."""
    name = request.param
    try:
        return name, efficientnet.load(name, use=use_of(name), device="cpu")
    except ModelError as error:
        pytest.skip(str(error))


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("side", [224, 240])
def test_logits_are_those_of_the_package(network: tuple[str, EfficientNet], side: int) -> None:
    """In float32, to 1e-4; the package pads rightly at the size that it is made for alone."""
    name, ours = network
    kind = name.replace("_", "-")
    theirs = efficientnet_lite_pytorch.EfficientNet.from_name(kind, image_size=side).eval()
    weights = torch.load(weights_file(name, use=use_of(name)), weights_only=True)
    theirs.load_state_dict(weights)
    images = pictures(2, 3, side, side)
    with torch.inference_mode():
        logits = ours(images)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, theirs((images - 127) / 128), atol=1e-4, rtol=0)
        torch.testing.assert_close(ours(images.to(torch.uint8)), logits)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (37, 51), (1, 1)])
def test_any_size(network: tuple[str, EfficientNet], height: int, width: int) -> None:
    images = pictures(2, 3, height, width)
    with torch.inference_mode():
        maps, pooled = network[1].stages(images), network[1].pooled(images)
    shapes = [
        (2, CHANNELS[i], math.ceil(height / 2 ** (i + 2)), math.ceil(width / 2 ** (i + 2)))
        for i in range(4)
    ]
    assert [tuple(x.shape) for x in maps] == shapes
    assert pooled.shape == (2, efficientnet.POOLED)
    assert pooled.min() >= 0 and 0 < pooled.max() <= 6


def test_gradient_reaches_the_picture_and_no_weight(network: tuple[str, EfficientNet]) -> None:
    images = pictures(1, 3, 64, 64).requires_grad_()
    sum(x.mean() for x in network[1].stages(images)).backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(not p.requires_grad and p.grad is None for p in network[1].parameters())


def test_stays_as_it_is_within_a_network_that_trains(network: tuple[str, EfficientNet]) -> None:
    ours, images = network[1], pictures(2, 3, 64, 64)
    before = ours.pooled(images)
    torch.nn.Sequential(ours).train()
    torch.testing.assert_close(ours.pooled(images), before, atol=0, rtol=0)
    ours.eval()


def test_loading_draws_no_random_number(network: tuple[str, EfficientNet]) -> None:
    state = torch.get_rng_state()
    efficientnet.load(network[0], use=use_of(network[0]), device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_and_losses_ask_different_networks() -> None:
    with pytest.raises(ModelError, match="efficientnet_lite1 is for evaluation, not for training"):
        efficientnet.load("efficientnet_lite1", use="training")
    with pytest.raises(ModelError, match="efficientnet_lite0 is for training, not for evaluation"):
        efficientnet.load("efficientnet_lite0", use="evaluation")
    with pytest.raises(ModelError, match="did you mean 'efficientnet_lite1'"):
        efficientnet.load("efficientnet_lite2", use="evaluation")

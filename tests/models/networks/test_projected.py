"""Projected discriminators: the frozen stays frozen, the trained learns, nothing is lost."""

from __future__ import annotations

import pytest
import torch

from models.errors import ModelError
from models.networks.projected import (
    DEVIATION,
    FrozenFeatures,
    Mixing,
    ProjectedDiscriminator,
)
from models.networks.training_networks import TrainingNetworks
from models.variants import variant_from_dict

ROW = {"channels": 4, "blocks": 1, "discriminator": "projected", "discriminator_channels": 8}


@pytest.fixture(scope="module")
def features() -> FrozenFeatures:
    try:
        return FrozenFeatures()
    except ModelError as error:
        pytest.skip(str(error))


def pictures(count: int, side: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, generator=generator) * 2 - 1


@pytest.mark.parametrize("side", [32, 64, 160])
def test_one_verdict_a_scale_for_images_of_any_size(features, side):
    judge = ProjectedDiscriminator(features, side, channels=8)
    scores = judge.verdicts(pictures(2, side))
    assert [x.shape[:2] for x in scores] == [(2, 1)] * 3
    assert all(4 <= x.shape[-1] < 8 for x in scores)


def test_maps_have_about_deviation_one_and_mixing_keeps_it(features):
    with torch.no_grad():
        maps = features(pictures(4, 64))
        mixed = Mixing()(maps)
    assert len(maps) == len(DEVIATION) == len(mixed)
    assert all(0.2 < x.std() < 5 for x in [*maps, *mixed])


def test_frozen_weights_are_in_no_state_and_no_optimizer(features):
    judge = ProjectedDiscriminator(features, 64, channels=8)
    names = {name.split(".")[0] for name, _ in judge.named_parameters()}
    assert names == {"heads"}
    assert {name.split(".")[0] for name in judge.state_dict()} == {"heads", "mixing"}


def test_gradients_reach_images_and_heads_and_training_moves_heads_alone(features):
    judge = ProjectedDiscriminator(features, 64, channels=8)
    images = pictures(2, 64).requires_grad_()
    frozen = {name: x.clone() for name, x in judge.named_buffers() if "heads" not in name}
    torch.stack([x.mean() for x in judge.verdicts(images)]).sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in judge.heads.parameters())
    before = [w.detach().clone() for w in judge.parameters()]
    torch.optim.SGD(judge.parameters(), lr=0.1).step()
    assert any(not torch.equal(a, b) for a, b in zip(before, judge.parameters(), strict=True))
    after = dict(judge.named_buffers())
    assert all(torch.equal(x, after[name]) for name, x in frozen.items())


def test_heads_learn_to_tell_two_kinds_of_pictures(features):
    torch.manual_seed(0)
    judge = ProjectedDiscriminator(features, 64, channels=8)
    flat = pictures(8, 1, seed=1).expand(8, 3, 64, 64)
    noise = pictures(8, 64, seed=2)
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)

    def gap() -> torch.Tensor:
        both = zip(judge.verdicts(flat), judge.verdicts(noise), strict=True)
        return torch.stack([a.mean() - b.mean() for a, b in both]).sum()

    first = gap().item()
    for _ in range(8):
        optimizer.zero_grad()
        (-gap()).backward()
        optimizer.step()
    assert gap().item() > first + 1


def test_labels_count(features):
    judge = ProjectedDiscriminator(features, 64, channels=8, label_width=2).eval()
    images = pictures(2, 64)
    with torch.no_grad():
        one = judge.verdicts(images, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        other = judge.verdicts(images, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        none = judge.verdicts(images, torch.zeros(2, 2))
    assert all(not torch.allclose(a, b) for a, b in zip(one, other, strict=True))
    middle = [(a + b) / 2 for a, b in zip(one, other, strict=True)]  # the projection is linear
    total = [n + (m - n) for n, m in zip(none, middle, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(total, middle, strict=True))


def test_same_seed_same_mixing_and_each_discriminator_its_own(features):
    def networks() -> TrainingNetworks:
        torch.manual_seed(5)
        return TrainingNetworks(variant_from_dict(ROW, name="p"), 64)

    one, again = networks(), networks()
    state = again.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in one.state_dict().items())
    photos, anime = (one.discriminators[d].mixing.mix0 for d in ("photos", "anime"))
    assert not torch.equal(photos, anime)
    assert one.discriminators["photos"].features is one.discriminators["anime"].features


def test_state_of_one_process_judges_the_same_in_another(features):
    one, other = (ProjectedDiscriminator(features, 64, channels=8).eval() for _ in range(2))
    images = pictures(2, 64)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        pairs = zip(one.verdicts(images), other.verdicts(images), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"discriminator_channels": 12}, "multiples of 8"),
        ({"discriminator_attention": "cam"}, "no attention"),
    ],
)
def test_what_does_not_go_together_is_refused(change, told):
    with pytest.raises(ModelError, match=told):
        variant_from_dict(ROW | change, name="p")

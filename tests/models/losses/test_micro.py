"""Gradient accumulation: a batch in parts is the batch, up to rounding."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from models.errors import ModelError
from models.losses.pool import ImagePool
from models.networks.norms import norm2d
from models.training.engine import train
from tests.models.helpers import XGAN_LOSSES, domain, settings, variant

PHOTOS, ANIME = domain("photos"), domain("anime")
HELD_OUT = (domain("photo val", 2), domain("anime val", 2))
# Nothing is drawn after the batch is split; flips and shifts, drawn before, may stay.
EXACT = {"return_noise": 0.0}
VARIANTS = {
    "cyclegan": variant("cyclegan", **EXACT),
    "critic": variant("cyclegan", **EXACT, penalty="r1", discriminator_steps=2),
    "xgan": variant("xgan", **EXACT, losses={**XGAN_LOSSES, "identity": 5}),
}


def run(spec, **changes):
    plan = settings(**{"budget_images": 32, "batch_size": 8, "log_every": 8, **changes})
    return train(spec, plan, PHOTOS, ANIME, HELD_OUT)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("parts", [2, 8])
def test_parts_of_a_batch_train_as_the_whole(name, parts):
    whole, split = run(VARIANTS[name]), run(VARIANTS[name], accumulate=parts)
    pd.testing.assert_frame_equal(whole.history, split.history, rtol=1e-3, atol=1e-4)
    expected = whole.translator.network.state_dict()
    weights = split.translator.network.state_dict()
    # Adam divides gradients by their size, so where one is all but 0 rounding decides its sign.
    far = torch.cat([(weights[name] - expected[name]).abs().flatten() for name in expected])
    assert far.mean() < 1e-5
    assert far.max() < 4 * settings().lr  # that sign in each of four steps


def test_the_pool_sees_the_same_translations(monkeypatch):
    """All of a batch at once, from before the generators' step, which here takes them far away."""
    seen: list[torch.Tensor] = []
    query = ImagePool.query

    def watched(self, *tensors):
        seen.append(tensors[0].clone())
        return query(self, *tensors)

    monkeypatch.setattr(ImagePool, "query", watched)
    for parts in (1, 4):
        run(VARIANTS["cyclegan"], accumulate=parts, budget_images=8, lr=0.1)
    whole, split = seen[:2], seen[2:]
    assert len(whole) == len(split) == 2  # one step, two domains
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)  # sums of another batch


def test_pretraining_is_split_too():
    spec = variant("cyclegan", pretraining=0.5)
    plan = {"budget_images": 16, "batch_size": 8, "log_every": 8}
    result = train(spec, settings(**plan, accumulate=2), PHOTOS, ANIME, HELD_OUT)
    whole = train(spec, settings(**plan), PHOTOS, ANIME, HELD_OUT)
    assert list(result.pretraining["images"]) == [8]
    ours, theirs = (x.pretraining["masked_reconstruction"][0] for x in (result, whole))
    assert ours == pytest.approx(theirs, rel=0.1)  # other squares are masked


@pytest.mark.parametrize("kind", ["instance", "layer", "adalin"])
def test_norms_of_a_single_image_have_the_gradients_of_a_batch(kind):
    """In channels_last, where F.instance_norm's are wrong."""
    norm, (x, back) = norm2d(kind, 8), torch.randn(2, 3, 8, 6, 6)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    back = back.contiguous(memory_format=torch.channels_last)
    (whole,) = torch.autograd.grad(norm(x), x, back)
    for i in range(3):
        one = slice(i, i + 1)
        (alone,) = torch.autograd.grad(norm(x[one]), x, back[one])
        torch.testing.assert_close(alone[one], whole[one])


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(ModelError, match="make it a multiple of 3"):
        run(VARIANTS["cyclegan"], accumulate=3)

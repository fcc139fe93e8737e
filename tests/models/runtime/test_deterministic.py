"""The same bits every time, where the settings ask for it; on a GPU only what can run there."""

from __future__ import annotations

from functools import partial

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from models.errors import ModelError
from models.networks.blocks import pad_with_flips
from models.runtime.device import deterministic
from models.training import engine
from models.training.callback import Silent
from models.training.engine import train
from tests.models.helpers import domain, settings, variant

PAIR = domain("photos"), domain("anime")
HELD_OUT = domain("photo val", 2), domain("anime val", 2)
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("width", [1, 3])
def test_flipped_borders_are_reflection_padding(width, layout):
    """Values to the bit; gradients are sums of at most four, here of whole numbers."""
    torch.manual_seed(0)
    given = []
    expected = partial(F.pad, pad=[width] * 4, mode="reflect")
    for pad in (expected, partial(pad_with_flips, width=width)):
        x = torch.arange(2 * 3 * 5 * 6.0).view(2, 3, 5, 6).contiguous(memory_format=layout)
        y = pad(x.requires_grad_())
        weights = torch.arange(float(y.numel())).view(y.shape)
        given.append((y, torch.autograd.grad(y, x, weights)[0]))
    (expected, expected_grad), (got, grad) = given
    assert torch.equal(got, expected)
    assert torch.equal(grad, expected_grad)
    assert got.is_contiguous(memory_format=layout)


def test_training_asks_torch_for_it_and_leaves_torch_as_it_was(monkeypatch):
    asked: list[bool] = []
    backward = engine.generator_backward

    def watched(*arguments):
        asked.append(torch.are_deterministic_algorithms_enabled())
        return backward(*arguments)

    monkeypatch.setattr(engine, "generator_backward", watched)
    plain, same = (
        train(variant("cyclegan"), settings(budget_images=8, deterministic=on), *PAIR, HELD_OUT)
        for on in (False, True)
    )
    assert asked == [False, False, True, True]
    assert not torch.are_deterministic_algorithms_enabled()
    pd.testing.assert_frame_equal(plain.history, same.history)  # a CPU has but one way
    assert plain.key != same.key


def test_an_operator_without_such_a_form_ends_in_one_line():
    said = "upsample_bilinear2d_backward does not have a deterministic implementation, but you set"
    no_form = "^upsample_bilinear2d_backward has no deterministic form"
    with pytest.raises(ModelError, match=no_form), deterministic(True):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="out of memory"), deterministic(True):
        raise RuntimeError("out of memory")
    assert not torch.are_deterministic_algorithms_enabled()


def interrupted(state_dir, **changes):
    """A whole run on the GPU, and one that is stopped after its first half and goes on."""

    class Stops(Silent):
        def on_log(self, images, metrics):
            if images == 36:
                raise KeyboardInterrupt

    plan = settings(device="cuda", **changes)
    arguments = (variant("cyclegan"), plan, *PAIR, HELD_OUT)
    whole = train(*arguments)
    with pytest.raises(KeyboardInterrupt):
        train(*arguments, state_dir, Stops())
    resumed = train(*arguments, state_dir)
    assert resumed.resumed_from == 32
    return whole, resumed


@ON_GPU
def test_on_a_gpu_a_resumed_run_is_the_same_to_the_bit_where_asked(tmp_path):
    whole, resumed = interrupted(tmp_path, deterministic=True)
    weights = resumed.translator.network.state_dict()
    for name, value in whole.translator.network.state_dict().items():
        assert torch.equal(weights[name], value), name


@ON_GPU
def test_on_a_gpu_a_resumed_run_is_the_same_within_five_per_cent(tmp_path):
    whole, resumed = interrupted(tmp_path)
    pd.testing.assert_frame_equal(resumed.history, whole.history, rtol=0.05, atol=1e-3)

"""Norms against float64, in both memory formats, and of one image alone."""

import pytest
import torch

from models.networks.norms import Norm2d


def reference(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Mean 0 and variance 1 over the pixels of each channel, or over the whole image."""
    axes = (2, 3) if kind == "instance" else (1, 2, 3)
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("kind", ["instance", "layer"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["dense", "channels_last"]
)
def test_norms_and_their_gradients_are_those_of_the_definition(kind, count, layout):
    torch.manual_seed(0)
    x, upstream = torch.randn(2, count, 4, 6, 6, dtype=torch.float64)
    exact = x.clone().requires_grad_()
    reference(exact, kind).backward(upstream)
    ours = x.float().contiguous(memory_format=layout).requires_grad_()
    y = Norm2d(kind)(ours)
    y.backward(upstream.float().contiguous(memory_format=layout))
    torch.testing.assert_close(y.double(), reference(x, kind), atol=1e-5, rtol=1e-5)
    assert ours.grad is not None and exact.grad is not None
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-5, rtol=1e-4)

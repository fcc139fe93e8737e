"""`torch.compile`, and with it CUDA graphs, where they work; else one line, and on without."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from models.networks.discriminators import Discriminator
from models.networks.training_networks import TrainingNetworks
from models.runtime.distributed import rank

# A CUDA graph is recorded in the second pass and replayed from the third on.
PASSES = 3


def parts(networks: TrainingNetworks) -> list[nn.Module]:
    """What is compiled: the pieces that losses put together, each one's weights left where they
    are. Saved weights, their names and copies of the networks know nothing of it."""
    made = networks.translator
    groups = (made.shallow_encoders, made.deep_encoders, made.deep_decoders, made.shallow_decoders)
    pieces = [piece for group in groups for piece in group.values()]
    critics = networks.discriminators.values()
    judging = [part for x in critics if isinstance(x, Discriminator) for part in x.compiled()]
    return pieces + list(dict.fromkeys(judging))  # what discriminators share, once


def compile_networks(
    networks: TrainingNetworks, device: torch.device, trial: Callable[[], None]
) -> bool:
    """Compile `networks` in place; whether it worked.

    Compilers fail when something first runs, so `trial`, a step without an update, is run. When it
    raises, the networks are as before, and one line on standard error says why.
    """
    pieces = parts(networks)
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    mode = "reduce-overhead" if device.type == "cuda" else None
    try:
        for piece in pieces:
            piece.compile(mode=mode, dynamic=False)
        for _ in range(PASSES):
            begin_step(True)
            trial()
    except Exception as error:  # compilers raise anything: their own, the shell's, a driver's
        for piece in pieces:
            piece._compiled_call_impl = None
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        if rank() == 0:
            told = f"{type(error).__name__}: {reason}"[:200]
            print(f"not compiled, which is only slower: {told}", file=sys.stderr)
        return False
    finally:
        networks.zero_grad(set_to_none=True)
        networks.load_state_dict(before)  # spectral norms move when they are looked at
    return True


def begin_step(compiled: bool) -> None:
    """Tell CUDA graphs that the last step's tensors may be overwritten."""
    if compiled:
        torch.compiler.cudagraph_mark_step_begin()


def eagerly(compiled: bool) -> Callable[[], AbstractContextManager[object]]:
    """Makes contexts in which compiled networks run as if they were not."""
    return _eager if compiled else nullcontext


@contextmanager
def _eager() -> Iterator[None]:
    with torch.compiler.set_stance("force_eager"):
        yield

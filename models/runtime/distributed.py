"""More than one process: `torchrun --nproc-per-node N -m models.train …`, one process a GPU.

Gradients are averaged here by hand, in one message a step, and not by DistributedDataParallel: its
hooks expect one forward and one backward pass of one module, while here several passes share
networks and each backward pass is for some of the weights only. Weights are never sent: all
processes start from one seed and make the same steps. Without torchrun every function here does
nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from models.errors import ModelError

PATIENCE = timedelta(minutes=10)  # until a process that says nothing counts as lost
Plain = TypeVar("Plain")


def rank() -> int:
    """This process, from 0; the first one alone logs, draws samples and saves."""
    return dist.get_rank() if joined() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if joined() else 1


def joined() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized()


@contextmanager
def processes() -> Iterator[None]:
    """Join the other processes where torchrun started this one: gloo on CPUs, NCCL on GPUs.

    Each has a GPU of its own, its `LOCAL_RANK`. Raises ModelError when another process is lost.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    local = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise ModelError(
                f"{torch.cuda.device_count()} GPUs here, and process {local} has none: lower "
                "--nproc-per-node"
            )
        torch.cuda.set_device(local)
    with others_named():
        # Both, since what is not on a GPU, such as a state to save, goes through gloo.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    yield
    dist.destroy_process_group()  # not after an error: it could wait for one that is gone


@contextmanager
def others_named() -> Iterator[None]:
    """Turn what a backend says of a lost process into a ModelError."""
    try:
        yield
    except RuntimeError as error:  # dist.DistBackendError and gloo's own derive from it
        raise ModelError(
            "another process of this run is gone: its own message says why; run again to go on "
            "from the last saved state"
        ) from error


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Each tensor ← its mean over all processes, in place and in one message.

    The tensors, in the same order everywhere, are of one dtype. All processes end with the same
    bits.
    """
    if not joined() or not tensors:
        return
    flat = torch.cat([x.flatten() for x in tensors])
    with others_named():
        dist.all_reduce(flat)
    flat /= world_size()
    for x, mean in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
        x.copy_(mean.view(x.shape))


def from_first(value: Plain) -> Plain:
    """The first process's `value` (plain data), in all."""
    if not joined():
        return value
    box = [value]
    with others_named():
        dist.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]


def gather(state: Any) -> Any:
    """What each process has (plain data and tensors) → in the first, their list, on the CPU.

    Undone by `own`. Elsewhere None; without other processes `state` itself.
    """
    if not joined():
        return state
    packed = io.BytesIO()
    torch.save(state, packed)
    parts: list[Any] | None = [None] * world_size() if rank() == 0 else None
    with others_named():
        dist.gather_object(packed.getvalue(), parts)
    return [torch.load(io.BytesIO(x), "cpu", weights_only=True) for x in parts] if parts else None


def own(gathered: Any) -> Any:
    """This process's part of what `gather` gave."""
    return gathered[rank()] if joined() else gathered

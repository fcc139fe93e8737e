"""Resumable training state: one file a run key, replaced atomically.

Random numbers need no saving: every step reseeds from (seed, rank, images seen).
"""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.errors import ModelError
from models.losses.pool import ImagePool
from models.networks.training_networks import TrainingNetworks
from models.runtime.distributed import gather, own, rank
from models.runtime.files import remove
from models.runtime.meter import Meter
from models.runtime.sealed import intact, sealing
from models.training.optimizers import EMA


@dataclass(frozen=True)
class Pretrained:
    """What is told of a pretraining; empty where there was none."""

    history: list[dict[str, float]]  # a log point each: images, masked_reconstruction
    seconds: float  # over all calls that took part in it


@dataclass
class TrainingState:
    """Everything that the next step depends on, and what is told of the steps before."""

    networks: TrainingNetworks
    ema: EMA
    optimizers: dict[str, torch.optim.Optimizer]
    pools: dict[str, ImagePool]
    pretrained: Pretrained
    meter: Meter = field(default_factory=Meter)
    history: list[dict[str, float]] = field(default_factory=list)
    held_out: list[dict[str, float]] = field(default_factory=list)
    images_seen: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors. Call it in every process: each has pools of its own."""
        return {
            "networks": self.networks.state_dict(),
            "ema": self.ema.network.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "pools": gather({d: pool.state_dict() for d, pool in self.pools.items()}),
            "meter": self.meter.state_dict(),
            "history": self.history,
            "held_out": self.held_out,
            "images_seen": self.images_seen,
            "pretraining": asdict(self.pretrained),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.networks.load_state_dict(state["networks"])
        self.ema.network.load_state_dict(state["ema"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        pools = own(state["pools"])
        for d, pool in self.pools.items():
            pool.load_state_dict(pools[d])
        self.meter.load_state_dict(state["meter"])
        self.history, self.held_out = state["history"], state["held_out"]
        self.images_seen = state["images_seen"]
        self.pretrained = Pretrained(**state["pretraining"])


def state_path(state_dir: Path | str, key: str) -> Path:
    """Where the state of run `key` lies. A state of another key is another file, never read."""
    return Path(state_dir) / f"{key}.pt"


def save_state(state_dir: Path | str, key: str, state: dict[str, Any]) -> None:
    """Write the state, in the first process; a kill leaves the old file or the new one."""
    if rank() > 0:
        return
    with sealing(state_path(state_dir, key)) as file:
        torch.save({"key": key, **state}, file)


def load_state(
    state_dir: Path | str | None, key: str, device: torch.device | str = "cpu"
) -> dict[str, Any] | None:
    """The saved state of run `key`, or None where there is none.

    Raises ModelError when the file cannot be read, is not what was written, or belongs to another
    run.
    """
    if state_dir is None or not (path := state_path(state_dir, key)).exists():
        return None
    try:
        if not intact(path):
            raise ModelError(f"the training state {path} is damaged: delete it to start over")
        state = torch.load(path, map_location=device, weights_only=True)
        owner = state["key"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"cannot read the training state {path}: delete it to start over"
        ) from error
    if owner != key:
        raise ModelError(f"{path} is the state of another run ({owner[:12]}…): delete it")
    return state


def clear_state(state_dir: Path | str, key: str) -> None:
    """Delete the state of run `key`; call it once the weights are safely written."""
    remove(state_path(state_dir, key))


def require_finite(networks: torch.nn.Module, meter: Meter, images: int) -> None:
    """Raise ModelError when a loss or a weight is not finite; `images` is for the message."""
    meter.means(images)
    norms = torch._foreach_norm([p.detach() for p in networks.parameters()], torch.inf)
    if not torch.stack(list(norms)).isfinite().all():
        raise ModelError(
            f"weights are no longer finite at image {images}: lower lr, or set precision to fp32; "
            "the last saved state is from before"
        )

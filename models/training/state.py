"""Resumable training state: one file a run key, replaced atomically.

Random numbers need no saving: every step reseeds from (seed, rank, images seen).
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.errors import ModelError
from models.losses.pool import ImagePool
from models.networks.translator import TrainingNetworks
from models.runtime.meter import Meter
from models.training.ema import EMA


def run_key(variant: Mapping[str, Any], settings: Mapping[str, Any], *ids: list[str]) -> str:
    """64 hex digits that name a run: a hash of its variant, settings and data ids.

    All are plain data (JSON). Two runs of one key on one machine give the same weights.
    """
    digest = hashlib.sha256(json.dumps([variant, settings], sort_keys=True).encode())
    for domain_ids in ids:
        digest.update(json.dumps(domain_ids).encode())
    return digest.hexdigest()


def state_path(state_dir: Path | str, key: str) -> Path:
    """Where the state of run `key` lies. A state of another key is another file, never read."""
    return Path(state_dir) / f"{key}.pt"


def save_state(state_dir: Path | str, key: str, state: dict[str, Any]) -> None:
    """Write the state so that a kill at any moment leaves the old file or the new one."""
    path = state_path(state_dir, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its own, for variants that run at the same time may share a pretraining.
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    with partial.open("wb") as file:
        torch.save({"key": key, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_state(
    state_dir: Path | str, key: str, device: torch.device | str = "cpu"
) -> dict[str, Any] | None:
    """The saved state of run `key`, or None where there is none.

    Raises ModelError when the file cannot be read or belongs to another run.
    """
    path = state_path(state_dir, key)
    if not path.exists():
        return None
    try:
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
    path = state_path(state_dir, key)
    for file in (path, *path.parent.glob(f"{path.stem}.*.tmp")):
        file.unlink(missing_ok=True)


def require_finite(networks: torch.nn.Module, meter: Meter, images: int) -> None:
    """Raise ModelError when a loss or a weight is not finite; `images` is for the message."""
    meter.means(images)
    norms = torch._foreach_norm([p.detach() for p in networks.parameters()], torch.inf)
    if not torch.stack(list(norms)).isfinite().all():
        raise ModelError(
            f"weights are no longer finite at image {images}: lower lr, or set precision to fp32; "
            "the last saved state is from before"
        )


def capture(
    networks: TrainingNetworks,
    ema: EMA,
    optimizers: Mapping[str, torch.optim.Optimizer],
    pools: Mapping[str, ImagePool],
    meter: Meter,
) -> dict[str, Any]:
    """Everything that the next step depends on, as plain data and tensors."""
    return {
        "networks": networks.state_dict(),
        "ema": ema.network.state_dict(),
        "optimizers": {name: o.state_dict() for name, o in optimizers.items()},
        "pools": {d: pool.state_dict() for d, pool in pools.items()},
        "meter": {"sums": meter.sums, "counts": meter.counts},
    }


def restore(
    state: Mapping[str, Any],
    networks: TrainingNetworks,
    ema: EMA,
    optimizers: Mapping[str, torch.optim.Optimizer],
    pools: Mapping[str, ImagePool],
    meter: Meter,
) -> None:
    """Undo `capture`, in place."""
    networks.load_state_dict(state["networks"])
    ema.network.load_state_dict(state["ema"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    for d, pool in pools.items():
        pool.load_state_dict(state["pools"][d])
    meter.sums, meter.counts = state["meter"]["sums"], state["meter"]["counts"]

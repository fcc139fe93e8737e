"""``python -m tests.bench.memory``: what a process holds, and that training does not hold more.

Linux tells a process its own peak, which, unlike that of `wait4`, does not begin with what the
parent held.
"""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from models.data.domain import Domain
from models.runtime.device import pick_device
from models.training.callback import Silent
from models.training.engine import train
from models.training.settings import TrainSettings
from models.variants import Variant, variant_from_dict
from tests.bench.our_step import QUIET, random_domain

STEPS = 10_000
SIZE = 16  # pixels, the smallest that a translator takes


def peak_mib() -> float:
    """The most that this process has held so far: on the GPU where there is one, else in RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _peak(psutil.Process())


def peak_of_largest(pid: int) -> float:
    """The most MiB of RAM that a process of the tree under `pid` has held; 0 when it has ended."""
    try:
        root = psutil.Process(pid)
        return max(map(_peak, [root, *root.children(recursive=True)]))
    except psutil.Error:
        return 0.0


def _peak(process: psutil.Process) -> float:
    """The process's own peak in MiB; where the system tells none, what it holds now; 0 if ended."""
    with contextlib.suppress(psutil.Error, OSError):
        status = Path(f"/proc/{process.pid}/status")
        told = status.read_text(encoding="utf-8") if status.exists() else ""
        peak = re.search(r"VmHWM:\s+(\d+) kB", told)
        return int(peak[1]) / 2**10 if peak else process.memory_info().rss / 2**20
    return 0.0


def held_mib() -> float:
    """What this process holds now, likewise."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    return psutil.Process().memory_info().rss / 2**20


def smallest() -> tuple[Variant, TrainSettings, Domain]:
    """The fastest step there is: 16 px, 2 channels, batch 1."""
    keys = {"channels": 2, "blocks": 0, "discriminator_channels": 2, "discriminator_layers": 1}
    variant = variant_from_dict({**keys, "losses": {"adversarial": 1, "cycle": 10}}, "smallest")
    plan = replace(QUIET, image_size=SIZE, batch_size=1, precision="fp32", pool_size=10)
    return variant, plan, random_domain(16, SIZE)


class Watch(Silent):
    """Notes how much is held at each log."""

    def __init__(self) -> None:
        self.held: dict[int, float] = {}  # images → MiB

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """Note it."""
        self.held[images] = held_mib()


def held_over(steps: int, logs: int = 10, watch: Watch | None = None) -> dict[int, float]:
    """MiB held after each of `logs` parts of a run of `steps` of the smallest step."""
    variant, plan, domain = smallest()
    watch = watch or Watch()
    plan = replace(plan, budget_images=steps, log_every=steps // logs)
    train(variant, plan, domain, domain, (domain.take([0]), domain.take([0])), callback=watch)
    return watch.held


def memory_line(steps: int = STEPS) -> str:
    """A sentence for the report."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    held = held_over(steps)
    start, end = min(held), max(held)
    where = "on the GPU" if pick_device().type == "cuda" else "resident"
    return (
        f"Over {end:,} steps of the smallest variant a process holds {held[start]:.1f} MiB "
        f"{where} after {start:,} and {held[end]:.1f} MiB at the end."
    )


if __name__ == "__main__":
    print(memory_line(*map(int, sys.argv[1:])))

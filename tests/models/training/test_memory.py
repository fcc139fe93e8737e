"""A long run holds no more than a short one, and its steps never wait for the GPU.

Ten thousand steps take a minute and more and are measured by `make bench`; here some hundreds.
"""

from __future__ import annotations

import mmap
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from models.runtime.meter import Meter
from models.training.callback import Silent
from models.training.engine import train
from tests.bench.memory import Watch, held_over
from tests.models.helpers import domain, settings, variant

STEPS = 600
LEAK = 4 / 1024  # MiB a step: a graph that stays holds more


def growth(run: Callable[[int], dict[int, float]], steps: int) -> float:
    """MiB a step, from a fifth of the run on; in a new process, for one that has freed memory takes
    that before it grows."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (1,)) as process:
        held = process.submit(run, steps).result()
    images = sorted(held)
    start, end = images[len(images) // 5 - 1], images[-1]
    return (held[end] - held[start]) / (end - start)


class Leak(Watch):
    """Keeps twice as much as is allowed."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.kept: list[mmap.mmap] = []

    def on_log(self, images, metrics):
        size = int(2 * LEAK * 2**20 * self.every)
        self.kept.append(mmap.mmap(-1, size))  # the heap may have had that much to spare
        self.kept[-1].write(bytes([1]) * size)
        super().on_log(images, metrics)


def leaking(steps: int) -> dict[int, float]:
    return held_over(steps, watch=Leak(steps // 10))


def test_memory_stays_flat():
    assert growth(held_over, STEPS) < LEAK


def test_a_leak_would_be_seen():
    assert growth(leaking, STEPS // 5) > LEAK


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to wait for")
@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
def test_no_step_waits_for_the_gpu(architecture, monkeypatch) -> None:
    """Between two logs any synchronisation raises; the logs themselves are one each."""

    class Strict(Silent):
        def on_log(self, images, metrics):
            running = images < plan.budget_images  # after the last step comes a sample sheet
            torch.cuda.set_sync_debug_mode("error" if running else "default")

    means = Meter.means

    def synchronise(self: Meter, images: int) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")
        return means(self, images)

    monkeypatch.setattr(Meter, "means", synchronise)
    plan = settings(budget_images=64, log_every=16, state_every=0, precision="bf16", device="cuda")
    data = domain("photos"), domain("anime")
    try:
        result = train(variant(architecture), plan, *data, data, callback=Strict())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result.images_seen == 64

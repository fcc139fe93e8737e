"""SIGKILL at any moment, run again: the same bytes as a run that was never stopped."""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from tests.models.training import train_once
from tests.project import PATIENCE

# Every run is a process of its own, forked off one that has imported torch: the import takes longer
# than the run.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.models.training.train_once"])


def random_moments(seed: int, count: int) -> list[tuple[int, float]]:
    """Two or three saves after the start and anywhere on the way to the next one."""
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(2, 4)), float(rng.uniform(0, 1))) for _ in range(count)]


# When to kill: so many saves after the start, and what share of the way to the next one later.
MOMENTS = {
    "cyclegan": random_moments(seed=6, count=5),
    "xgan": random_moments(seed=7, count=2),
    "projected": [(1, 0.5), (2, 0.5)],
    "pretrained": [(1, 0.0), (3, 0.5), (10, 0.0)],  # 8 saves long; the last is in the training
}
SAME = ("generator.safetensors", "config.json", "history.csv", "pretraining.csv")


def start(name: str, state: Path, out: Path) -> ForkServerProcess:
    process = PROCESSES.Process(
        target=train_once.main, args=(name, str(state), str(out)), daemon=True
    )
    process.start()
    return process


def finish(process: ForkServerProcess) -> None:
    process.join(PATIENCE)
    assert process.exitcode == 0


def written(state: Path) -> set[int]:
    """When the state file there is was written, in nanoseconds; empty before the first."""
    return {path.stat().st_mtime_ns for path in state.glob("*.pt")}


def kill_after_saves(process: ForkServerProcess, state: Path, saves: int, share: float) -> bool:
    """SIGKILL once `saves` more states were written and `share` of the time between two passed.

    False when the run was over before.
    """
    before = written(state)
    times = set(before)
    deadline = time.monotonic() + PATIENCE
    while len(times - before) < saves and process.is_alive():
        assert time.monotonic() < deadline, "no state was written"
        times |= written(state)
        time.sleep(0.001)
    own = sorted(times - before)
    if len(own) > 1:
        time.sleep(share * (own[-1] - own[-2]) / 1e9)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_runs_end_with_the_bytes_of_an_uninterrupted_one(name, tmp_path):
    whole, broken, state = tmp_path / "whole", tmp_path / "broken", tmp_path / "state"
    killed = 0
    for saves, share in MOMENTS[name]:
        killed += kill_after_saves(start(name, state, broken), state, saves, share)
    finish(start(name, state, broken))
    finish(start(name, tmp_path / "other", whole))
    assert killed > 0  # on a busy machine a run may end before its moment
    assert (whole / "resumed_from").read_text() == "0"
    assert int((broken / "resumed_from").read_text()) > 0
    for file in SAME:
        assert (broken / file).read_bytes() == (whole / file).read_bytes(), file

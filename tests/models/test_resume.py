"""SIGKILL at any moment, run again: the same bytes as a run that was never stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.models import train_once

ROOT = Path(__file__).resolve().parents[2]
# When to kill: so many saves after the start, and seconds after that save.
MOMENTS = {
    "cyclegan": ((1, 0.0), (2, 0.013)),
    "xgan": ((2, 0.03), (3, 0.0)),
    "pretrained": ((1, 0.0), (3, 0.01), (10, 0.0)),  # 8 saves long; the last is in the training
}
SAME = ("generator.safetensors", "config.json", "history.csv", "pretraining.csv")


def start(name: str, state: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.models.train_once", name, str(state), str(out)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()


def written(state: Path) -> set[int]:
    """When the state file there is was written, in nanoseconds; empty before the first."""
    return {path.stat().st_mtime_ns for path in state.glob("*.pt")}


def kill_after_saves(process: subprocess.Popen, state: Path, saves: int, delay: float) -> bool:
    """SIGKILL once `saves` more states were written and `delay` seconds passed.

    False when the run was over before.
    """
    times = written(state)
    enough = len(times) + saves
    deadline = time.monotonic() + 60
    while len(times) < enough and process.poll() is None:
        assert time.monotonic() < deadline, "no state was written within a minute"
        times |= written(state)
        time.sleep(0.001)
    time.sleep(delay)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_runs_end_with_the_bytes_of_an_uninterrupted_one(name, tmp_path):
    whole, broken, state = tmp_path / "whole", tmp_path / "broken", tmp_path / "state"
    killed = 0
    for saves, delay in MOMENTS[name]:
        killed += kill_after_saves(start(name, state, broken), state, saves, delay)
    finish(start(name, state, broken))
    train_once.main(name, str(tmp_path / "other"), str(whole))

    assert killed == len(MOMENTS[name])
    assert (whole / "resumed_from").read_text() == "0"
    assert int((broken / "resumed_from").read_text()) > 0
    for file in SAME:
        assert (broken / file).read_bytes() == (whole / file).read_bytes(), file

"""A child ends with its parent, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.core import family
from tests.faults.bench import left_behind
from tests.models.helpers import write_splits
from tests.project import PATIENCE, ROOT, environment

CHILD = "import os, time; from pipeline.core import family; {watch}; "
CHILD += "family.die_with(int({parent})); print('born', flush=True); time.sleep(1000)"
PARENT = """
import subprocess, sys, os
child = subprocess.Popen([sys.executable, "-c", sys.argv[1].replace("PPID", str(os.getpid()))])
print(child.pid, flush=True)
child.wait()
"""


def gone(process: int) -> bool:
    """Whether a process has ended, or only waits for its parent to take note."""
    try:
        with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")  # noqa: PTH112
@pytest.mark.parametrize("watch", ["pass", "family.sys.platform = 'elsewhere'"])
def test_a_killed_parent_takes_its_child_along(watch: str) -> None:
    child = CHILD.format(watch=watch, parent="PPID")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    assert parent.stdout.readline() == "born\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + PATIENCE
    while not gone(number):
        assert time.monotonic() < end
        time.sleep(0.05)


OVER = """
import time
from pipeline.core import workers
from pipeline.core.params import Compute
def busy(number):
    print("busy", flush=True)
    time.sleep(1000)
if __name__ == "__main__":
    with workers.on(Compute(backend="BACKEND")):
        workers.over(busy, range(4), workers=2, label="busy", total=4)
"""
LOOK = """
import time
import numpy as np
from pipeline.imaging import animeface_process
animeface_process.look(np.zeros((64, 64, 3), np.uint8))
print("busy", flush=True)
time.sleep(1000)
"""
STREAM = """
import sys, time
from pathlib import Path
import torch
from models.domains import DOMAINS
from models.data.streaming import Stream, load_training
from models.runtime.sampling import Order
splits, cpu = Path(sys.argv[1]), torch.device("cpu")
pair = load_training(splits, "train", 32, cpu, resident=False, workers=2)
stream = Stream(dict(zip(DOMAINS, pair)), 4, cpu)
stream.at({name: Order(8, 0, 0) for name in DOMAINS}, 0)
print("busy", flush=True)
time.sleep(1000)
"""
STAGES = {
    "workers": OVER.replace("BACKEND", "loky"),
    "workers of dask": OVER.replace("BACKEND", "dask"),
    "the look for faces": LOOK,
    "decoders of a training": STREAM,
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks for a session's processes in /proc")
@pytest.mark.parametrize("name", STAGES)
def test_a_killed_stage_leaves_no_process_and_no_open_pipe(name: str, tmp_path: Path) -> None:
    """Whoever reads what it prints, as `dvc repro | tee log` does, comes to the end."""
    if "dask" in name:
        pytest.importorskip("distributed")
    write_splits(tmp_path / "splits", "train")
    (tmp_path / "stage.py").write_text(STAGES[name])
    process = subprocess.Popen(
        [sys.executable, "stage.py", "splits"], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, text=True, env=environment(PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line == "busy\n":
            break
    assert line and process.poll() is None
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert left_behind(process.pid) == []


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    child = CHILD.format(watch="pass", parent="1 << 22")
    done = subprocess.run([sys.executable, "-c", child], cwd=ROOT, env=environment())
    assert done.returncode == -signal.SIGKILL


def test_a_process_does_not_watch_itself() -> None:
    family.die_with(os.getpid())

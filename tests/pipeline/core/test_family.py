"""A child ends with its parent, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.core import family
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


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    child = CHILD.format(watch="pass", parent="1 << 22")
    done = subprocess.run([sys.executable, "-c", child], cwd=ROOT, env=environment())
    assert done.returncode == -signal.SIGKILL


def test_a_process_does_not_watch_itself() -> None:
    family.die_with(os.getpid())

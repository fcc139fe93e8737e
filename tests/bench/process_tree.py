"""What a command and all its children cost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY = 0.1  # seconds between two looks at memory


@dataclass(frozen=True)
class TreeUsage:
    """Cost of a process tree."""

    seconds: float  # wall
    cpu_seconds: float  # user and system, of all processes that were waited for
    peak: float  # MiB, sum over the processes


def measure_tree(
    command: list[str], folder: Path, env: dict[str, str], log: Path, limit: float = 600.0
) -> TreeUsage:
    """Run ``command`` in ``folder``, its output in ``log``.

    Memory is the proportional set size, which counts what processes share once; where the system
    does not tell it, the resident set size. Raises RuntimeError with the end of the log when the
    command fails or takes more than ``limit`` seconds.
    """
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_EVERY):
            peak = max(peak, _memory(process.pid))
            if time.monotonic() - start > limit:
                _kill(process.pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    done.set()
    watcher.join()
    if process.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{tail}")
    return TreeUsage(seconds, usage.ru_utime + usage.ru_stime, peak / 2**20)


def _kill(pid: int) -> None:
    """End the tree under ``pid``: workers that outlived it would slow what is measured next."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            process.kill()


def _memory(pid: int) -> int:
    """Bytes that the tree under ``pid`` holds now; 0 when it has ended."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_process_memory, tree))


def _process_memory(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return getattr(memory, "pss", memory.rss)

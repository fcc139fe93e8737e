"""Processes that end when the one that started them does, whatever ended it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # of Linux' prctl
_EVERY = 1.0  # seconds between two looks at the parent, elsewhere
_watched: set[int] = set()


def die_with(parent: int) -> None:
    """From now on this process ends by SIGKILL as soon as its ``parent`` (a process id) is gone.

    On Linux the kernel sees to it; elsewhere a thread looks every second. Imports nothing: a child
    must start quickly.
    """
    if parent in _watched or parent == os.getpid():
        return
    _watched.add(parent)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it was gone before
        _end()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

"""``animeface`` in a process of its own, because on about one picture in 10,000 it never ends.

It clusters a face's colours by k-means until no pixel changes its cluster, which from some random
starts never happens. Nothing can interrupt it but the end of its process, and from another start
the same picture is done in a moment. So every thread has a child process that looks for it, ends
itself when a look takes too long, and is replaced.

Another start may find other colours. So it is taken only where the picture itself ended the child:
by too much of the child's own CPU time, or by a crash that comes again. A child that was killed, or
stopped for a while, changes nothing: the same look is taken again.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import runpy
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import animeface
import numpy as np
from PIL import Image

LIMIT = 30  # seconds of CPU a look may take; it takes a tenth of one as a rule
STARTS = 5  # tried before giving up
TRIES = 4  # of one start, where something else than the picture may have ended the child
CRASHES = 2  # of one start that are the picture's own
_TIME_IS_UP = signal.SIGVTALRM
_BY_ITSELF = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
_OWN = threading.local()


class EndlessError(Exception):
    """The picture that no start of animeface comes back from."""


def look(rgb: np.ndarray, limit: float = LIMIT) -> list[animeface.Face]:
    """What ``animeface.detect`` finds in ``rgb`` (uint8 [H, W, 3]): always the same.

    Raises `EndlessError` when it does not end within ``limit`` seconds of CPU time from any of
    `STARTS` starts, or crashes from each; StageError when its process is killed again and again.
    """
    for start in range(STARTS):
        answer = _from_start((start, rgb, limit))
        if answer is not None:
            return answer
    raise EndlessError("animeface does not come to an end on it")


def _from_start(question: tuple[int, np.ndarray, float]) -> list[animeface.Face] | None:
    """The answer from one start; None where the picture ends the child."""
    crashes = 0
    for _ in range(TRIES):
        try:
            child = _child()
            pickle.dump(question, child.stdin)
            child.stdin.flush()
            return pickle.load(child.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):  # it has ended
            ended = -_forget()
        crashes += ended in _BY_ITSELF
        if ended == _TIME_IS_UP or crashes == CRASHES:
            return None
    from pipeline.core.errors import StageError  # not for the child

    raise StageError(
        f"the process that looks for faces was ended {TRIES} times ({_named(ended)}), often for "
        "memory: lower compute.workers"
    )


def _child() -> Any:
    """This thread's child, a new one where there is none."""
    if not getattr(_OWN, "child", None):
        from pipeline.core import family

        # By path, and without this folder among the modules: a child must start quickly.
        command = [sys.executable, "-P", str(Path(__file__)), family.__file__, str(os.getpid())]
        _OWN.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return _OWN.child


def _forget() -> int:
    """Have this thread's child end; its exit code, negative for a signal."""
    child, _OWN.child = _OWN.child, None
    child.stdout.close()
    with suppress(BrokenPipeError):  # of what it did not read
        child.stdin.close()
    return int(child.wait())


def _named(ended: int) -> str:
    return signal.Signals(ended).name if ended > 0 else f"exit code {-ended}"


def serve() -> None:
    """Answer what `look` asks, until it asks no more."""
    runpy.run_path(sys.argv[1])["die_with"](int(sys.argv[2]))
    library = ctypes.CDLL(animeface._nvxs.__file__)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    while True:
        try:
            start, rgb, limit = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        # Of this process's own CPU time; unhandled, the signal ends it wherever it is.
        signal.setitimer(signal.ITIMER_VIRTUAL, limit)
        library.nv_srand(start)  # seeded by the clock otherwise
        faces = animeface.detect(Image.fromarray(rgb))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        pickle.dump(faces, answers)
        answers.flush()


if __name__ == "__main__":
    serve()

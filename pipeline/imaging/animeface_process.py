"""``animeface`` in a process of its own, because on about one picture in 10,000 it never ends.

It clusters a face's colours by k-means until no pixel changes its cluster, which from some random
starts never happens. Nothing can interrupt it but the end of its process, and from another start
the same picture is done in a moment. So every thread has a child process that looks for it, ends
itself when a look takes too long, and is replaced.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import animeface
import numpy as np
from PIL import Image

LIMIT = 30  # seconds a look may take; it takes a tenth of one as a rule
STARTS = 5  # tried before giving up
_OWN = threading.local()


class EndlessError(Exception):
    """The picture that no start of animeface comes back from."""


def look(rgb: np.ndarray, limit: float = LIMIT) -> list[animeface.Face]:
    """What ``animeface.detect`` finds in ``rgb`` (uint8 [H, W, 3]): always the same.

    Raises `EndlessError` when it does not end within ``limit`` seconds from any of `STARTS` starts.
    """
    for start in range(STARTS):
        if not getattr(_OWN, "child", None):
            # By path, and without this folder among the modules: a child must start quickly.
            command = [sys.executable, "-P", str(Path(__file__))]
            _OWN.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            pickle.dump((start, rgb, limit), _OWN.child.stdin)
            _OWN.child.stdin.flush()
            return pickle.load(_OWN.child.stdout)
        except (EOFError, BrokenPipeError):  # it has ended itself
            _OWN.child.wait()
            _OWN.child = None
    raise EndlessError("animeface does not come to an end on it")


def serve() -> None:
    """Answer what `look` asks, until it asks no more."""
    library = ctypes.CDLL(animeface._nvxs.__file__)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    with Path(os.devnull).open("w") as nowhere:
        while True:
            try:
                start, rgb, limit = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            faulthandler.dump_traceback_later(limit, exit=True, file=nowhere)
            library.nv_srand(start)  # seeded by the clock otherwise
            faces = animeface.detect(Image.fromarray(rgb))
            faulthandler.cancel_dump_traceback_later()
            pickle.dump(faces, answers)
            answers.flush()


if __name__ == "__main__":
    serve()

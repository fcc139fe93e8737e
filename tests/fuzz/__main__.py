"""`python -m tests.fuzz MINUTES [SEED]`: broken bytes at every door, until the time is over.

A finding is kept in `.cache/fuzz/` and its error told; make a test of it.
"""

from __future__ import annotations

import hashlib
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target, knock

FOUND = Path(".cache/fuzz")
SECONDS, MEMORY = 5, 1 << 30  # of CPU time for one input; bytes that it may add


def main(minutes: float, seed: int) -> int:
    """Each door in turn; returns how many different findings there were."""
    draw, tried, found = random.Random(seed), Counter[str](), dict[str, str]()
    end = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for name, target in TARGETS.items():
                for _ in range(50):
                    tried[name] += 1
                    data = mutated(target.seeds, draw)
                    if problem := look(target, data, Path(folder)):
                        keep(name, data, problem, found)
    for name, count in tried.items():
        print(f"{name}: {count:,} inputs")
    print(f"{sum(tried.values()):,} inputs, {len(found)} findings")
    return len(found)


def look(target: Target, data: bytes, folder: Path) -> str:
    """What is wrong with how ``data`` was met; empty where nothing is."""
    started, before = time.process_time(), _peak()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            knock(target, data, folder)
    except Exception as error:
        last = error.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        line = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
        return f"{type(error).__name__} at {line}: {str(error)[:200]}"
    if (spent := time.process_time() - started) > SECONDS:
        return f"{spent:.0f} s"
    return "memory" if _peak() - before > MEMORY else ""


def keep(name: str, data: bytes, problem: str, found: dict[str, str]) -> None:
    """Write down the first input of each kind of finding."""
    kind = f"{name}: {problem.partition(': ')[0]}"
    if kind in found:
        return
    found[kind] = problem
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}".replace(" ", "_")
    path.write_bytes(data)
    print(f"FOUND {name}: {problem} ({path})", flush=True)


def _peak() -> int:
    """Bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:]] or [20.0]
    sys.exit(1 if main(numbers[0], int(numbers[1]) if numbers[1:] else 0) else 0)

"""Map a function over chunks in worker processes; the result does not depend on how many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import cv2
from joblib import Parallel, delayed
from tqdm import tqdm

CHUNK = 64  # images: work for a second or so, little enough for an even finish
Item = TypeVar("Item")
Result = TypeVar("Result")


def chunks(items: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """``items`` in slices of ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


def over(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    label: str,
    total: int | None = None,
) -> list[Result]:
    """``[function(item) for item in items]`` in ``workers`` processes, with a progress bar.

    ``items`` may be a generator: only a few are held at once. The backend is joblib's current one
    (``joblib.parallel_config``).
    """
    every = 0.1 if sys.stderr.isatty() else 60.0  # seconds; a log gets one line a minute
    bar = tqdm(items, desc=label, total=total, mininterval=every, unit="chunk")
    return Parallel(n_jobs=workers)(delayed(_single_threaded)(function, item) for item in bar)


def _single_threaded(function: Callable[[Item], Result], item: Item) -> Result:
    cv2.setNumThreads(1)  # the processes already fill the cores
    return function(item)

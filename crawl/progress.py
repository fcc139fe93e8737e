"""Where long work stands: a bar on a terminal, one line a minute otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

_EVERY = 60.0  # seconds between two lines

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Passes ``items`` on and shows on stderr how many of ``total`` have gone by."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=what, unit="image", dynamic_ncols=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            rate = done / (now - start)
            print(f"{what}: {done} of {total}, {rate:.1f}/s", file=sys.stderr, flush=True)
        yield item

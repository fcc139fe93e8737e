"""``python -m tests.bench.upscaling``: pictures a second that each upscaler enlarges on a core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import torch

from models.public import upscaler
from tests.bench.markdown import markdown

SIZE = 64  # pixels, before
ROUNDS = 7
NETWORKS = ("anime_upscaler_4x", "anime_upscaler_4x_large", "photo_upscaler_4x")
COLUMNS = ["network", "images/s", "ms", "times as long"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread within, and afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds_of_each() -> dict[str, float]:
    """Median seconds of processor time that a network takes for one picture, all in turn."""
    networks = {name: upscaler.load(name, device="cpu") for name in NETWORKS}
    picture = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8)
    taken: dict[str, list[float]] = {name: [] for name in networks}
    with one_thread():
        for network in networks.values():
            network.enlarged(picture)  # not counted
        for _ in range(ROUNDS):
            for name, network in networks.items():
                start = time.process_time()
                network.enlarged(picture)
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in taken.items()}


def upscaling_table() -> pd.DataFrame:
    """A row a network; ratios to the first."""
    seconds = seconds_of_each()
    first = seconds[NETWORKS[0]]
    rows = [
        [name, f"{1 / s:.1f}", f"{s * 1e3:.0f}", f"{s / first:.1f}"] for name, s in seconds.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def upscaling_section() -> str:
    """The table with what it measures."""
    return f"""`Upscaler.enlarged` of one picture, {SIZE} → {SIZE * 4} px, uint8 in and out, eager,
float32, one thread; medians of {ROUNDS} calls in turn, in processor time.

{markdown(upscaling_table())}
"""


if __name__ == "__main__":
    print(upscaling_section())

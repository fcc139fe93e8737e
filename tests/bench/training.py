"""``python -m tests.bench.training [SIZE…]``: what a training step costs, against the yardstick.

All rows of a size run in one process, in turn, several rounds of them, so that a slow moment hits
them alike: a ratio is the median of the rounds' ratios. Memory is measured in a process a row.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import mock

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.runtime.device import pick_device
from models.training.batches import Batches
from models.training.settings import TrainSettings
from models.variants import BUILT_IN, Variant
from pipeline.train.inputs import load_variant
from tests.bench.markdown import markdown
from tests.bench.memory import peak_mib
from tests.bench.our_step import QUIET, run_steps
from tests.bench.published_loop import PublishedCycleGAN, blocks_for
from tests.project import ROOT

ROUNDS = 3
YARDSTICK = "published loop, batch 1, fp32"
DEMO_SIZE = 64


@dataclass(frozen=True)
class Row:
    """One configuration: the engine's, or the yardstick where there is no variant."""

    variant: Variant | None
    settings: TrainSettings
    steps: int  # that are timed
    warm: int = 1  # that are not; divides `steps`
    streamed: bool = False  # from shards, decoded by worker processes

    @property
    def pairs(self) -> int:
        """Image pairs that are timed."""
        return self.steps * self.settings.batch_size


@dataclass(frozen=True)
class Timed:
    """Seconds of a row's timed steps, and of them those in which the next batch was waited for."""

    seconds: float
    data: float


def configurations(size: int) -> dict[str, Row]:
    """Every row at an image size; the first is the yardstick."""
    on_gpu = pick_device().type == "cuda"
    published = replace(BUILT_IN["cyclegan"], blocks=blocks_for(size))
    base = replace(QUIET, image_size=size)

    def row(
        batch: int, precision: str, steps: int, variant: Variant | None = published, **more: object
    ) -> Row:
        settings = replace(base, batch_size=batch, precision=precision, **more)  # type: ignore[arg-type]
        return Row(variant, settings, 50 if on_gpu else steps, 25 if on_gpu else 1)

    rows = {
        YARDSTICK: row(1, "fp32", 4, None),
        "ours, batch 1, fp32": row(1, "fp32", 4),
        "ours, batch 1, auto": row(1, "auto", 4),
        "ours, batch 8, fp32": row(8, "fp32", 1),
    }
    for batch in (8, 16, 64, 128) if on_gpu else (8,):
        rows[f"ours, batch {batch}, auto"] = row(batch, "auto", 3)
        if on_gpu:  # on a CPU compiling takes longer than the whole table
            rows[f"ours, batch {batch}, auto, compiled"] = row(batch, "auto", 3, compile=True)
    if size == DEMO_SIZE:
        for name in ("cyclegan", "xgan"):
            rows[f"demo {name}, batch 16, auto"] = row(16, "auto", 12, load_variant(name))
        streamed = replace(rows["demo cyclegan, batch 16, auto"], streamed=True)
        rows["demo cyclegan, batch 16, auto, streamed"] = streamed
    return rows


def run_published(row: Row, first: Callable[[], object], last: Callable[[], object]) -> None:
    """The yardstick's steps; `first` and `last` are called when all before them is done."""
    device = pick_device()
    size = row.settings.image_size
    torch.manual_seed(row.settings.seed)
    model = PublishedCycleGAN(size, device)
    images = torch.rand(2, 16, 3, size, size, device=device) * 2 - 1
    pairs = itertools.cycle(zip(images[0].split(1), images[1].split(1), strict=True))
    for steps, done in ((row.warm, first), (row.steps, last)):
        for real_a, real_b in itertools.islice(pairs, steps):
            model.step(real_a, real_b)
        if device.type == "cuda":
            torch.cuda.synchronize()
        done()


def run(row: Row, first: Callable[[], object], last: Callable[[], object]) -> None:
    """A row's steps; `first` after the warm-up, `last` after the timed ones."""
    if row.variant is None:
        run_published(row, first, last)
    else:
        run_steps(row.variant, row.settings, row.steps, first, last, row.warm, row.streamed)


def timed(row: Row) -> Timed:
    """What the row's steps take, without start-up, warm-up and sample sheets."""
    moments: list[tuple[float, float]] = []
    waited = 0.0
    take = Batches.at

    def at(self: Batches, *arguments: object, **named: object) -> object:
        nonlocal waited
        start = time.perf_counter()
        batch = take(self, *arguments, **named)  # type: ignore[arg-type]
        waited += time.perf_counter() - start
        return batch

    def mark() -> None:
        moments.append((time.perf_counter(), waited))

    with mock.patch.object(Batches, "at", at):
        run(row, mark, mark)
    (start, before), (end, after) = moments
    return Timed(end - start, after - before)


def flops(row: Row) -> float:
    """Of one pair, forward and backward as they run: 2 for each multiplication with its addition
    in convolutions and matrix products; norms, activations and optimizers are not counted."""
    settings = replace(row.settings, batch_size=1, precision="fp32")
    counted: list[int] = []
    with FlopCounterMode(display=False) as counter:

        def mark() -> None:
            counted.append(counter.get_total_flops())

        run(replace(row, settings=settings, steps=1, warm=1), mark, mark)
    return float(counted[1] - counted[0])


def matmul_rate(device: torch.device, seconds: float = 1.0) -> float:
    """FLOP/s of bfloat16 matrix products on `device`: the best of many."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        repeats = 10 if device.type == "cuda" else 1
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, repeats * 2 * side**3 / (time.perf_counter() - start))
    return best


def peak_of(size: int, name: str) -> str:
    """Peak MiB of a process that does nothing but this row's steps."""
    command = [sys.executable, "-m", "tests.bench.training", "--peak", str(size), name]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return f"{float(done.stdout.splitlines()[-1]):.0f}"


def print_peak(size: str, name: str) -> None:
    """What `peak_of` starts."""
    row = configurations(int(size))[name]
    run(replace(row, steps=row.warm), lambda: None, lambda: None)
    print(peak_mib())


def training_table(size: int, rate: float, rounds: int = ROUNDS) -> pd.DataFrame:
    """One row a configuration at `size` pixels; `rate` is that of `matmul_rate`."""
    rows = configurations(size)
    measured: dict[str, list[Timed]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            measured[name].append(timed(row))
    lines = []
    for name, row in rows.items():
        speeds = [row.pairs / one.seconds for one in measured[name]]
        yardstick = [rows[YARDSTICK].pairs / one.seconds for one in measured[YARDSTICK]]
        ratio = statistics.median(a / b for a, b in zip(speeds, yardstick, strict=True))
        waited = statistics.median(one.data / one.seconds for one in measured[name])
        speed = statistics.median(speeds)
        achieved = flops(row) * speed
        cells = [f"{speed:.3g}", f"{ratio:.1f}×", f"{achieved / 1e12:.2f}"]
        cells += [f"{achieved / rate:.1%}", f"{waited:.1%}" if row.variant else ""]
        lines.append([name, *cells, peak_of(size, name)])
        print(*lines[-1], sep="\t", file=sys.stderr, flush=True)
    columns = ["configuration", "pairs/s", "ratio", "TFLOP/s", "of bf16 matmul", "data", "peak MiB"]
    return pd.DataFrame(lines, columns=columns)


def training_section(sizes: list[int] | None = None) -> str:
    """The tables of all sizes that this device is fit for, with what they mean."""
    on_gpu = torch.cuda.is_available()
    torch.backends.cudnn.benchmark = True  # as the published script has it; for all rows
    rate = matmul_rate(pick_device())
    threads = "" if on_gpu else f" with {torch.get_num_threads()} CPU thread(s)"
    held = "what torch allocated on the GPU" if on_gpu else "of a process that does only this"
    tables = "\n".join(
        f"### {size}×{size}, ResNet-{blocks_for(size)}\n\n{markdown(training_table(size, rate))}\n"
        for size in sizes or ([64, 128, 256] if on_gpu else [64])
    )
    return f"""The published loop is CycleGAN's recipe (Zhu et al., 2017) in plain eager PyTorch,
written for this table in `tests/bench/published_loop.py`: the same networks and losses, batch 1,
float32, its images on the device already. Ours at batch 1 tells what the engine gives, the
rest is batching. `auto` is bfloat16 where it is fast. Ratios are medians of {ROUNDS} rounds in
turns. FLOPs are counted by `torch.utils.flop_counter` over one step, backward passes as they run:
two for a multiplication with its addition, convolutions and matrix products only. The bf16 matrix
rate measured here{threads} is {rate / 1e12:.2f} TFLOP/s. `data` is the share of the step in which
the loop waits for its next batch, augmentation on a CPU included; `streamed` decodes PNGs of noise
from Parquet shards in worker processes instead of having all in memory. Peak memory is
{held}.

{tables}"""


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print_peak(*sys.argv[2:])
    else:
        print(training_section([int(size) for size in sys.argv[1:]] or None))

"""``python -m tests.bench.profile_step [demo|published]…``: where the time of a step goes, here.

Time is that of each operator itself, without what it calls: of the device's kernels on a GPU, of
the CPU otherwise.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from models.training.settings import TrainSettings
from models.variants import BUILT_IN, Variant
from pipeline.train.inputs import load_variant
from tests.bench.markdown import markdown
from tests.bench.our_step import QUIET, run_steps

# The first group that has a word in the operator's name gets its time.
GROUPS = {
    "optimizer and average": ("adam", "_foreach"),
    "padding by reflection": ("reflection_pad",),
    "upsampling": ("upsample",),
    "norms": ("batch_norm", "group_norm", "layer_norm", "instance_norm"),
    "convolutions": ("conv", "mm", "linear"),
    "copies: layout, precision": ("copy_", "clone", "contiguous", "_to_copy", "cat", "repeat"),
    "activations": ("relu", "tanh", "sigmoid", "threshold"),
    "random numbers, batches": ("rand", "index", "bernoulli", "normal_"),
    "sums and differences": ("add", "sub", "mul", "div", "sum", "mean", "abs", "sgn", "pow"),
}
REST = "rest"


@dataclass(frozen=True)
class Case:
    """What is profiled."""

    variant: Variant
    settings: TrainSettings
    steps: int
    warm: int = 1


def cases() -> dict[str, Case]:
    """The demo's variant, and the published one at a batch that suits the device."""
    batch, steps, warm = (64, 20, 10) if torch.cuda.is_available() else (8, 2, 1)
    return {
        "demo": Case(load_variant("cyclegan"), replace(QUIET, batch_size=16), 2 * steps, warm),
        "published": Case(BUILT_IN["cyclegan"], replace(QUIET, batch_size=batch), steps, warm),
    }


def group_of(operator: str) -> str:
    """The group whose work `operator` does."""
    name = operator.lower()
    for group, words in GROUPS.items():
        if any(word in name for word in words):
            return group
    return REST


def times(case: Case) -> dict[str, float]:
    """Operator → seconds a step of its own."""
    on_gpu = torch.cuda.is_available()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    profiler = profile(activities=kinds, acc_events=True)
    run_steps(
        case.variant, case.settings, case.steps, profiler.start, profiler.stop, warm=case.warm
    )
    what = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return {event.key: getattr(event, what) / 1e6 / case.steps for event in profiler.key_averages()}


def profile_table(case: Case) -> pd.DataFrame:
    """Milliseconds a step and share of every group, the largest first, with its largest parts."""
    spent = pd.Series(times(case))
    groups = spent.groupby(group_of).sum().sort_values(ascending=False)
    rows = []
    for group, seconds in groups[groups > 0].items():
        inside = spent[spent.index.map(group_of) == group].nlargest(2)
        largest = ", ".join(f"`{name}` {part * 1e3:.1f}" for name, part in inside.items())
        rows.append([group, f"{seconds * 1e3:.1f}", f"{seconds / groups.sum():.1%}", largest])
    return pd.DataFrame(rows, columns=["where", "ms a step", "share", "largest, ms"])


def profile_section(names: list[str]) -> str:
    """A table for each named case."""
    parts = []
    for name in names:
        case = cases()[name]
        settings = case.settings
        title = f"{name} CycleGAN, {settings.image_size}², batch {settings.batch_size}"
        parts.append(f"{title}:\n\n{markdown(profile_table(case))}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(profile_section(sys.argv[1:] or list(cases())))

"""How long and how to train: the settings of a run and what follows from them at a step.

Nothing here imports torch, for `pipeline.core.params` makes a section of params.yaml of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.knobs import MOST_PIXELS, PRECISIONS, knob


@dataclass(frozen=True)
class TrainSettings:
    """How long and how to train. "Images" are pairs: one photo and one anime face each.

    Nothing scales by itself. When `batch_size` grows by κ:
    - `budget_images` stays, so there are κ times fewer steps; so do `decay_from`, `ema_half_life`
      and the four intervals, which count images or shares of the budget;
    - `lr` grows by √κ, the square root scaling rule for Adam (Malladi et al., 2022,
      arXiv:2205.10287). Its other half, 1 − β growing by κ, is left out: with CycleGAN's β₁ of 0.5
      it ends at κ = 2;
    - `pool_size` stays well above it, or discriminators see little of the past.
    `accumulate` and the number of processes change neither batch nor steps, so nothing else.
    """

    budget_images: int = knob(200_000, "image pairs that are seen", above=0, most=10**9)
    batch_size: int = knob(
        16, "of a step, all processes and micro-batches together", above=0, most=65_536
    )
    accumulate: int = knob(
        1, "micro-batches that a process splits its share of a batch into", above=0, most=65_536
    )
    image_size: int = knob(64, "pixels of a side", least=16, most=MOST_PIXELS, step=4)
    lr: float = knob(2e-4, "learning rate of the generators", above=0, most=1)
    decay_from: float = knob(
        0.5, "share of the budget after which lr falls linearly to 0", least=0, most=1
    )
    ema_half_life: float = knob(
        10_000.0, "images; of the averaged weights that are kept", least=0, most=10**9
    )
    pool_size: int = knob(
        50, "earlier translations that discriminators are shown", least=0, most=100_000
    )
    seed: int = knob(0, "of all random numbers", least=0, most=2**32 - 1)
    log_every: int = knob(
        1_000, "images between two log points; 0: at the end only", least=0, most=10**9
    )
    sample_every: int = knob(10_000, "images between two sample sheets", least=0, most=10**9)
    evaluate_every: int = knob(
        10_000, "images between two looks at held-out images", least=0, most=10**9
    )
    state_every: int = knob(5_000, "images between two saves of the state", least=0, most=10**9)
    sample_count: int = knob(
        8, "held-out images of each domain on a sample sheet", least=1, most=1000
    )
    precision: str = knob("auto", "bf16 where it is fast, else fp32", choices=PRECISIONS)
    device: str = knob("auto", "auto, cpu, cuda, cuda:1 …")
    threads: int = knob(0, "CPU threads; 0 leaves torch's choice", least=0, most=1024)
    deterministic: bool = knob(False, "the same bits every time also on a GPU, but slower")
    compile: bool = knob(False, "torch.compile, with CUDA graphs on a GPU; penalties stay eager")


def learning_rate(settings: TrainSettings, images_seen: int) -> float:
    """Constant, then linear to 0 at the end of the budget."""
    rest = 1 - images_seen / settings.budget_images
    return settings.lr * min(1.0, rest / max(1 - settings.decay_from, 1e-9))


def due(every: int, images_seen: int, batch: int, budget: int) -> bool:
    """Whether a multiple of `every` was passed by the last batch, or the run ended."""
    passed = every > 0 and images_seen // every > (images_seen - batch) // every
    return passed or images_seen >= budget

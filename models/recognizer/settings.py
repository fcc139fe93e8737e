"""How long and how to train a recognizer."""

from __future__ import annotations

from dataclasses import dataclass

from models.knobs import PRECISIONS, knob


@dataclass(frozen=True)
class RecognizerSettings:
    """The defaults reach the budget in half a minute on two CPU cores."""

    images: int = knob(20_000, "budget: images seen, of both domains together", above=0, most=10**9)
    batch_size: int = knob(64, "images of a step", above=0, most=65_536)
    lr: float = knob(
        2e-3, "largest rate of a cosine schedule with a short warm-up", above=0, most=1
    )
    channels: int = knob(24, "of the first layer; features have 8 times as many", least=4, most=512)
    precision: str = knob("auto", "bf16 where it is fast, else fp32", choices=PRECISIONS)
    device: str = knob("auto", "auto, cpu, cuda, cuda:1 …")

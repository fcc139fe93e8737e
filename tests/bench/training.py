"""Training throughput: the engine's configurations in turn, in one process."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pandas as pd
import torch

from models.data import Domain
from models.engine import train
from models.settings import TrainSettings
from models.variants import BUILT_IN, Variant
from pipeline.train import load_variant

ROUNDS = 3  # of all configurations, so that a slow moment hits them alike
SIZE = 64
PUBLISHED = replace(BUILT_IN["cyclegan"], blocks=6, channels=64)


def configurations() -> list[tuple[str, Variant, TrainSettings, int]]:
    """Name, variant, settings and steps of every row."""
    base = TrainSettings(image_size=SIZE, log_every=0, sample_every=0, sample_count=1)
    one, eight, sixteen = (replace(base, batch_size=size) for size in (1, 8, 16))
    return [
        ("published size, batch 1, fp32", PUBLISHED, replace(one, precision="fp32"), 6),
        ("published size, batch 8, fp32", PUBLISHED, replace(eight, precision="fp32"), 2),
        ("published size, batch 8, auto", PUBLISHED, eight, 3),
        ("demo cyclegan, batch 16, auto", load_variant("cyclegan"), sixteen, 12),
        ("demo xgan, batch 16, auto", load_variant("xgan"), sixteen, 12),
    ]


def random_domain(count: int) -> Domain:
    """Noise: throughput does not depend on what the pictures show."""
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8)
    return Domain(images, [str(i) for i in range(count)], pd.DataFrame(index=range(count)))


def training_table() -> pd.DataFrame:
    """Median pairs per second of every configuration and its ratio to the first."""
    domain = random_domain(64)
    held_out = (domain.take([0]), domain.take([0]))
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, variant, settings, steps in configurations():
            budget = steps * settings.batch_size
            run = replace(settings, budget_images=budget)
            result = train(variant, run, domain, domain, held_out)
            rates.setdefault(name, []).append(budget / result.seconds)
    first = statistics.median(next(iter(rates.values())))
    rows = [
        [name, f"{statistics.median(r):.1f}", f"{statistics.median(r) / first:.1f}×"]
        for name, r in rates.items()
    ]
    return pd.DataFrame(rows, columns=["configuration", "pairs/s", "ratio"])

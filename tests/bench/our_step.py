"""Some steps of the engine, and moments before and after them that have waited for the device."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torchvision.transforms.v2.functional import to_pil_image

from models.data.domain import Domain
from models.data.streaming import load_training
from models.domains import DOMAINS
from models.runtime.device import pick_device
from models.training.callback import Silent
from models.training.engine import train
from models.training.settings import TrainSettings
from models.variants import Variant

IMAGES = 256  # of each domain: an epoch's end comes at least as often as in a real run
QUIET = TrainSettings(log_every=0, sample_every=0, state_every=0, sample_count=1)


def random_domain(count: int, size: int) -> Domain:
    """Noise: throughput does not depend on what the pictures show."""
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    return Domain(images, [str(i) for i in range(count)], pd.DataFrame(index=range(count)))


def write_shards(root: Path, count: int, size: int) -> None:
    """The same as PNG, of both domains, in the shards that training streams from."""
    domain = random_domain(count, size)
    rows = []
    for name, image in zip(domain.ids, domain.images, strict=True):
        encoded = io.BytesIO()
        to_pil_image(image).save(encoded, "PNG")
        rows.append({"id": name, "image": {"bytes": encoded.getvalue(), "path": None}})
    (root / "train").mkdir()
    for photos_or_anime in DOMAINS:
        pd.DataFrame(rows).to_parquet(root / "train" / f"{photos_or_anime}-00000.parquet")


@dataclass
class Between(Silent):
    """Calls `first` after the warm-up and `last` after the last step, before its sample sheet."""

    warm: int  # images
    budget: int
    first: Callable[[], object]
    last: Callable[[], object]

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """Losses were fetched for this call, so all steps before it are done."""
        if images == self.warm:
            self.first()
        elif images == self.budget:
            self.last()


def run_steps(
    variant: Variant,
    settings: TrainSettings,
    steps: int,
    first: Callable[[], object],
    last: Callable[[], object],
    warm: int = 1,
    streamed: bool = False,
) -> None:
    """Train `variant` for `warm` steps, then for `steps`, a multiple of `warm`; `streamed`: from
    shards that worker processes decode."""
    batch, size = settings.batch_size, settings.image_size
    budget = (warm + steps) * batch
    domain = random_domain(max(IMAGES, batch), size)
    plan = replace(settings, budget_images=budget, log_every=warm * batch)
    told = Between(warm * batch, budget, first, last)
    held_out = (domain.take([0]), domain.take([0]))
    if not streamed:
        train(variant, plan, domain, domain, held_out, callback=told)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder), len(domain), size)
        photos, anime = load_training(folder, "train", size, pick_device(), resident=False)
        train(variant, plan, photos, anime, held_out, callback=told)

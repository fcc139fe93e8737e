"""What the first process tells of a training: curves, sample sheets, held-out measurements."""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torchvision.utils import make_grid

from models.checkpoint import Translator
from models.data.domain import Domain
from models.domains import DIRECTIONS
from models.metrics.held_out import Features, HeldOut
from models.runtime.distributed import rank
from models.training.callback import Callback, Silent
from models.training.settings import TrainSettings


class Report:
    """Draws and measures on held-out images, and tells a callback."""

    def __init__(
        self,
        settings: TrainSettings,
        held_out: tuple[Domain, Domain],
        features: Features | None,
        callback: Callback | None,
    ) -> None:
        self.first = rank() == 0  # others measure nothing and tell nobody
        self.heard = callback is not None and self.first
        self.callback: Callback = callback if callback and self.first else Silent()
        self.shown = [d.take(range(min(settings.sample_count, len(d)))) for d in held_out]
        self.measured = HeldOut(held_out, features if self.first else None)

    def samples(self, seen: int, translator: Translator) -> None:
        """Draw a sample sheet."""
        if self.first:
            self.callback.on_samples(seen, sample_sheet(translator, *self.shown))

    def held_out(self, seen: int, translator: Translator) -> list[dict[str, float]]:
        """Measure on held-out images: one row, or none where another process does it."""
        if not self.first:
            return []
        values = self.measured.measure(translator)
        self.callback.on_held_out(seen, values)
        return [{"images": seen, **values}]

    def cost(self, name: str, seconds: float) -> None:
        """Say on standard error what a run without a GPU will cost, if anybody listens."""
        if self.heard:
            threads, minutes = torch.get_num_threads(), f"{seconds / 60:.3g} minutes"
            told = f"{name}: no GPU, {threads} CPU threads: about {minutes} for this run"
            print(told, file=sys.stderr, flush=True)


def sample_sheet(translator: Translator, photos: Domain, anime: Domain) -> Tensor:
    """N images of either domain → one uint8 picture [3, H, W] of six rows of N images.

    Rows: photos | as anime | reconstructed | anime | as photos | reconstructed.
    """
    rows: list[Tensor] = []
    for (direction, (source, _)), domain in zip(DIRECTIONS.items(), (photos, anime), strict=True):
        rows += [domain.images, translator.translate(domain.images, direction, domain.labels)]
        rows += [translator.reconstruct(domain.images, source, domain.labels)]
    return make_grid(torch.cat(rows), nrow=len(photos), padding=2, pad_value=255)

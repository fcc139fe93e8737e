"""What a training tells its caller: the engine itself knows no tracking."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Callback(Protocol):
    """What a caller may hear about a run."""

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """Mean losses since the last call, and `images_per_second`."""

    def on_held_out(self, images: int, metrics: dict[str, float]) -> None:
        """What `models.metrics.held_out.HeldOut` measured."""

    def on_samples(self, images: int, sheet: Tensor) -> None:
        """A sample sheet, uint8 [3, H, W]."""


class Silent:
    """The callback that does nothing."""

    def on_log(self, images: int, metrics: dict[str, float]) -> None:
        """Ignore the losses."""

    def on_held_out(self, images: int, metrics: dict[str, float]) -> None:
        """Ignore the measurements."""

    def on_samples(self, images: int, sheet: Tensor) -> None:
        """Ignore the samples."""

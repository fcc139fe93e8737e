"""The image pool: discriminators also see translations of some steps ago."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """History of `size` translations on the device (Shrivastava et al., 2017, §2.3; CycleGAN §4).

    Until full it stores what comes and returns it. Then each image is, with probability ½,
    swapped for a stored one. Random numbers come from torch's RNG, nothing syncs with the host.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.filled = 0
        self.stored: list[Tensor] = []  # images, and what goes with them: labels

    def query(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Detached [N, …] each, images first → as many, some rows of them from earlier calls.

        A row of one stays with the same row of the others.
        """
        if not self.size:
            return tensors
        if not self.stored:
            self.stored = [x.new_zeros(self.size, *x.shape[1:]) for x in tensors]
        count = len(tensors[0])
        fresh = min(count, self.size - self.filled)
        for held, x in zip(self.stored, tensors, strict=True):
            held[self.filled : self.filled + fresh] = x[:fresh]
        self.filled += fresh
        swappable = min(count - fresh, self.size)
        return self._swap(tensors, fresh, fresh + swappable) if swappable else tensors

    def _swap(self, tensors: tuple[Tensor, ...], start: int, stop: int) -> tuple[Tensor, ...]:
        """Exchange each row start … stop − 1 with a slot of its own, with probability ½."""
        device, count = tensors[0].device, stop - start
        slots = torch.randperm(self.size, device=device)[:count]
        swap = torch.rand(count, device=device) < 0.5
        swapped = []
        for held, x in zip(self.stored, tensors, strict=True):
            here = swap.reshape(-1, *[1] * (x.dim() - 1))
            old, incoming = held[slots], x[start:stop]
            held[slots] = torch.where(here, incoming, old)
            swapped.append(torch.cat([x[:start], torch.where(here, old, incoming), x[stop:]]))
        return tuple(swapped)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"filled": self.filled, "stored": self.stored}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved pool; its tensors are on the device already."""
        self.filled, self.stored = state["filled"], state["stored"]

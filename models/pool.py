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
        self.images: Tensor | None = None

    def query(self, images: Tensor) -> Tensor:
        """Float [N, 3, S, S] (detached) → as many, some of them from earlier calls."""
        if not self.size:
            return images
        if self.images is None:
            self.images = images.new_zeros(self.size, *images.shape[1:])
        fresh = min(len(images), self.size - self.filled)
        self.images[self.filled : self.filled + fresh] = images[:fresh]
        self.filled += fresh
        swappable = min(len(images) - fresh, self.size)
        if not swappable:
            return images
        return torch.cat([images[:fresh], self._swap(images[fresh:], swappable)])

    def _swap(self, images: Tensor, count: int) -> Tensor:
        """Exchange each of the first `count` with a slot of its own, with probability ½."""
        assert self.images is not None
        slots = torch.randperm(self.size, device=images.device)[:count]
        swap = torch.rand(count, 1, 1, 1, device=images.device) < 0.5
        stored, incoming = self.images[slots], images[:count]
        self.images[slots] = torch.where(swap, incoming, stored)
        return torch.cat([torch.where(swap, stored, incoming), images[count:]])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"filled": self.filled, "images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved pool; its images are on the device already."""
        self.filled, self.images = state["filled"], state["images"]

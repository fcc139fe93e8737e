"""What a step of this process sees of both domains: from the device's memory, or streamed to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.data.augment import augment_for
from models.data.conditioning import hide, label_indices, one_hot
from models.data.domain import Domain, StreamedDomain
from models.data.streaming import Stream
from models.domains import DOMAINS
from models.runtime.distributed import rank
from models.runtime.sampling import Order
from models.training.settings import TrainSettings
from models.variants import Variant


class Batches:
    """A `Domain` stays on the device whole, as uint8: no loader, no copies in the loop. A
    `StreamedDomain` is decoded ahead by worker processes; the batches are the same."""

    def __init__(
        self,
        variant: Variant,
        settings: TrainSettings,
        photos: Domain | StreamedDomain,
        anime: Domain | StreamedDomain,
        device: torch.device,
    ) -> None:
        self.variant, self.settings, self.device = variant, settings, device
        domains = {"photos": photos, "anime": anime}
        self.ids = {d: domain.ids for d, domain in domains.items()}
        resident = {d: x for d, x in domains.items() if isinstance(x, Domain)}
        self.images = {d: domain.images.to(device) for d, domain in resident.items()}
        streamed = {d: x for d, x in domains.items() if isinstance(x, StreamedDomain)}
        share, batch = settings.share, settings.batch_size
        self.stream = Stream(streamed, share, device, stride=batch) if streamed else None
        self.label_rows = {
            d: label_indices(domain.labels, variant.labels).to(device)
            for d, domain in domains.items()
        }

    def orders(self, stream: int = 0) -> dict[str, Order]:
        """In which order the images of each domain come; another `stream`, another order."""
        seed = self.settings.seed
        return {d: Order(len(self.ids[d]), seed, stream + i) for i, d in enumerate(DOMAINS)}

    def at(
        self, orders: Mapping[str, Order], seen: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """This process's share of the batch after `seen` images: of each domain the images,
        augmented, float [N, 3, S, S] in [-1, 1], and where the variant has labels theirs, float
        [N, width].

        Random numbers come from torch's RNG. Raises ModelError when a streamed image is broken.
        """
        real, labels = {}, {}
        share = self.settings.share
        first = seen + rank() * share
        streamed = self.stream.at(orders, first) if self.stream else {}
        for d in DOMAINS:
            rows = orders[d].rows(first, share)
            rows = rows.to(self.device, non_blocking=True)
            images = streamed[d] if d in streamed else self.images[d][rows]
            images = augment_for(self.variant, images)
            real[d] = images.contiguous(memory_format=torch.channels_last)
            if self.variant.labels:
                known = hide(self.label_rows[d][rows], self.variant.labels)
                labels[d] = one_hot(known, self.variant.labels)
        return real, labels

    def parts(
        self, orders: Mapping[str, Order], seen: int
    ) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """`at` in the micro-batches that the settings ask for."""
        count = self.settings.accumulate
        real, labels = self.at(orders, seen)
        return list(zip(split(real, count), split(labels, count), strict=True))


def split(tensors: Mapping[str, Tensor], parts: int) -> list[dict[str, Tensor]]:
    """{name: [N, …]} → `parts` times {name: [N / parts, …]}."""
    rows = {name: x.chunk(parts) for name, x in tensors.items()}
    return [{name: x[i] for name, x in rows.items()} for i in range(parts)]

"""Both domains on the device, and the batch that a step sees of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.augment import augment_for
from models.conditioning import hide, label_indices, one_hot
from models.data import Domain
from models.domains import DOMAINS
from models.sampling import Order
from models.settings import TrainSettings
from models.variants import Variant


class Batches:
    """The whole data set stays on the device as uint8: no loader, no copies in the loop."""

    def __init__(
        self,
        variant: Variant,
        settings: TrainSettings,
        photos: Domain,
        anime: Domain,
        device: torch.device,
    ) -> None:
        self.variant, self.settings, self.device = variant, settings, device
        domains = {"photos": photos, "anime": anime}
        self.ids = {d: domain.ids for d, domain in domains.items()}
        self.images = {d: domain.images.to(device) for d, domain in domains.items()}
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
        """The batch after `seen` images: of each domain the images, augmented, float
        [N, 3, S, S] in [-1, 1], and where the variant has labels theirs, float [N, width].

        Random numbers come from torch's RNG.
        """
        real, labels = {}, {}
        for d in DOMAINS:
            rows = orders[d].rows(seen, self.settings.batch_size)
            rows = rows.to(self.device, non_blocking=True)
            images = augment_for(self.variant, self.images[d][rows])
            real[d] = images.contiguous(memory_format=torch.channels_last)
            if self.variant.labels:
                known = hide(self.label_rows[d][rows], self.variant.labels)
                labels[d] = one_hot(known, self.variant.labels)
        return real, labels

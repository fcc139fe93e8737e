"""What a step of this process sees of both domains: from the device's memory, or streamed to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.data.augment import augment, to_float
from models.data.conditioning import HAIR, hide, label_indices, one_hot
from models.data.domain import Domain, StreamedDomain
from models.data.light import prepared
from models.data.streaming import Stream
from models.domains import DOMAINS
from models.errors import ModelError
from models.runtime.distributed import rank, world_size
from models.runtime.sampling import Order
from models.training.keys import data_ids
from models.training.settings import TrainSettings
from models.variants import Variant

# Of each domain the images, float [N, 3, S, S] in [-1, 1], and where the variant has labels theirs,
# float [N, width].
Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


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
        labels = {*variant.labels, *([HAIR] if variant.match_hair else [])}  # that networks hold
        self.ids = {d: data_ids(domain, labels) for d, domain in domains.items()}
        resident = {d: x for d, x in domains.items() if isinstance(x, Domain)}
        self.images = {d: domain.images.to(device) for d, domain in resident.items()}
        streamed = {d: x for d, x in domains.items() if isinstance(x, StreamedDomain)}
        self.share = settings.batch_size // world_size()  # images of a batch in this process
        self.stream = (
            Stream(streamed, self.share, device, settings.batch_size) if streamed else None
        )
        self.label_rows = {
            d: label_indices(domain.labels, variant.labels).to(device)
            for d, domain in domains.items()
        }
        self._require_labels()

    def _require_labels(self) -> None:
        """Raise ModelError for an attribute that is unknown of every image: it would do nothing."""
        for column, (name, classes) in enumerate(self.variant.labels.items()):
            if all((rows[:, column] == len(classes)).all() for rows in self.label_rows.values()):
                raise ModelError(
                    f"variant {self.variant.name}: `labels` names {name}, of which no training "
                    f"image tells one of {', '.join(classes)}: take it out, or label the data"
                )

    def orders(self, stream: int = 0) -> dict[str, Order]:
        """In which order the images of each domain come; another `stream`, another order."""
        seed = self.settings.seed
        return {d: Order(len(self.ids[d]), seed, stream + i) for i, d in enumerate(DOMAINS)}

    def at(self, orders: Mapping[str, Order], seen: int) -> Batch:
        """This process's share of the batch after `seen` images, augmented.

        Random numbers come from torch's RNG. Raises ModelError when a streamed image is broken.
        """
        real, labels, variant = {}, {}, self.variant
        first = seen + rank() * self.share
        streamed = self.stream.at(orders, first) if self.stream else {}
        for d in DOMAINS:
            rows = orders[d].rows(first, self.share)
            rows = rows.to(self.device, non_blocking=True)
            images = streamed[d] if d in streamed else self.images[d][rows]
            images = prepared(to_float(images), d, variant.match_light)
            images = augment(images, variant.flip, variant.shift, variant.zoom)
            real[d] = images.contiguous(memory_format=torch.channels_last)
            if variant.labels:
                known = hide(self.label_rows[d][rows], variant.labels)
                labels[d] = one_hot(known, variant.labels)
        return real, labels

    def parts(self, orders: Mapping[str, Order], seen: int) -> list[Batch]:
        """`at` in the micro-batches that the settings ask for."""
        count = self.settings.accumulate
        real, labels = self.at(orders, seen)
        return list(zip(split(real, count), split(labels, count), strict=True))


def split(tensors: Mapping[str, Tensor], parts: int) -> list[dict[str, Tensor]]:
    """{name: [N, …]} → `parts` times {name: [N / parts, …]}."""
    rows = {name: x.chunk(parts) for name, x in tensors.items()}
    return [{name: x[i] for name, x in rows.items()} for i in range(parts)]

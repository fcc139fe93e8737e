"""One domain's images: in memory as a uint8 tensor, or still in their Parquet shards.

Either has ids and labels, and gives the same bytes for the same rows. What does not fit in memory
is streamed: `models.data.streaming` decides, and decodes ahead of the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from models.data.shards import Shards, index
from models.errors import ModelError

CHUNK = 512  # images decoded at once


@dataclass(frozen=True)
class Domain:
    """`images` uint8 [N, 3, S, S] RGB; `ids` and the rows of `labels` (strings) match them."""

    images: Tensor
    ids: list[str]
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_size(self) -> int:
        """Pixels of a side."""
        return self.images.shape[2]

    def split(self, count: int) -> Iterator[Tensor]:
        """All images in order, `count` at a time."""
        yield from self.images.split(count)

    def take(self, rows: Sequence[int]) -> Domain:
        """The given rows, in the given order."""
        index = torch.as_tensor(list(rows), dtype=torch.long)
        labels = self.labels.iloc[list(rows)].reset_index(drop=True)
        return replace(
            self, images=self.images[index], ids=[self.ids[i] for i in rows], labels=labels
        )


@dataclass(frozen=True)
class StreamedDomain:
    """A domain whose images stay encoded in their shards; `labels` are in memory.

    `workers` processes decode for a training; 0 decodes in its own process, as it waits.
    """

    shards: Shards
    labels: pd.DataFrame
    workers: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> list[str]:
        """One a row."""
        return self.shards.ids

    @property
    def image_size(self) -> int:
        """Pixels of a side."""
        return self.shards.image_size

    def take(self, rows: Sequence[int]) -> Domain:
        """The given rows, in the given order, in memory. Raises ModelError for a broken image."""
        rows, size = list(rows), self.image_size
        images = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                images[start : start + CHUNK] = self.shards.images(chunk, pool)
        labels = self.labels.iloc[rows].reset_index(drop=True)
        return Domain(images, [self.ids[i] for i in rows], labels)

    def split(self, count: int) -> Iterator[Tensor]:
        """All images in order, `count` at a time. Raises ModelError for a broken one."""
        for start in range(0, len(self), count):
            yield self.shards.images(range(start, min(start + count, len(self))))


def open_domain(
    root: Path | str, split: str = "train", domain: str = "photos", image_size: int | None = None
) -> StreamedDomain:
    """`ROOT/SPLIT/DOMAIN-*.parquet`: columns id (string), image {bytes, path}, then labels.

    `image_size` (pixels) resizes with antialiasing where the stored size differs; None keeps it.
    Raises ModelError when the shards are absent, empty or unreadable; images are not yet decoded,
    but for the first, which has to be square.
    """
    folder = Path(root) / split
    paths = sorted(folder.glob(f"{domain}-*.parquet"))
    if not paths:
        raise ModelError(
            f"no {domain}-*.parquet in {folder}: build the splits first (dvc repro split)"
        )
    return StreamedDomain(*index(paths, image_size))


def load_domain(
    root: Path | str, split: str = "train", domain: str = "photos", image_size: int | None = None
) -> Domain:
    """What `open_domain` opens, all in memory.

    Raises ModelError as it does, and for a broken image or one of another size than the first.
    """
    opened = open_domain(root, split, domain, image_size)
    return opened.take(range(len(opened)))


def require_images(domain: Domain | StreamedDomain, least: int, what: str) -> None:
    """Raise ModelError when `domain` has fewer than `least` images (a batch)."""
    if len(domain) < least:
        raise ModelError(
            f"{what} has {len(domain)} images, a batch needs {least}: "
            "add images or lower the batch size"
        )

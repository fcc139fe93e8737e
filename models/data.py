"""One domain's images in memory: Parquet shards → a uint8 tensor, ids and labels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from models.errors import ModelError


@dataclass(frozen=True)
class Domain:
    """`images` uint8 [N, 3, S, S] RGB; `ids` and the rows of `labels` (strings) match them."""

    images: Tensor
    ids: list[str]
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> Domain:
        """The given rows, in the given order."""
        index = torch.as_tensor(list(rows), dtype=torch.long)
        labels = self.labels.iloc[list(rows)].reset_index(drop=True)
        return replace(
            self, images=self.images[index], ids=[self.ids[i] for i in rows], labels=labels
        )


def load_domain(
    root: Path | str, split: str = "train", domain: str = "photos", image_size: int | None = None
) -> Domain:
    """Load `ROOT/SPLIT/DOMAIN-*.parquet`: columns id, image{bytes, path}, then label strings.

    `image_size` (pixels) resizes with antialiasing where the stored size differs; None keeps it.
    Raises ModelError when the shards are absent, empty, unreadable or not of one square size.
    """
    shards = sorted((Path(root) / split).glob(f"{domain}-*.parquet"))
    if not shards:
        raise ModelError(
            f"no {domain}-*.parquet in {Path(root) / split}: "
            "build the splits first (dvc repro split)"
        )
    tables = [_read(shard) for shard in shards]
    # By id, so that how the rows lie in shards changes nothing, and the first ones are a sample.
    frame = pd.concat(tables).sort_values("id", kind="stable", ignore_index=True)
    encoded = list(frame.pop("image"))
    if frame.empty:
        raise ModelError(f"{shards[0].parent}/{domain}-*.parquet holds no image: check the split")
    with ThreadPoolExecutor() as pool:
        decoded = list(pool.map(_decode, encoded, frame["id"]))
    images = _stack(decoded, image_size, where=f"{split}/{domain}")
    labels = frame.drop(columns="id").astype(str)
    return Domain(images, list(frame["id"]), labels)


def require_images(domain: Domain, least: int, what: str) -> None:
    """Raise ModelError when `domain` has fewer than `least` images (a batch)."""
    if len(domain) < least:
        raise ModelError(
            f"{what} has {len(domain)} images, a batch needs {least}: "
            "add images or lower the batch size"
        )


def _read(shard: Path) -> pd.DataFrame:
    """One shard with `image` as a column of bytes."""
    try:
        frame = pd.read_parquet(shard)
        frame["image"] = [image["bytes"] for image in frame["image"]]
        return frame.astype({"id": str})
    except (OSError, KeyError, TypeError, ValueError) as error:  # pyarrow's derive from these
        raise ModelError(f"{shard} is not a split table ({error}): rebuild it") from error


def _decode(encoded: bytes, id_: str) -> Tensor:
    """PNG, JPEG or WebP bytes → uint8 [3, H, W]."""
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return pil_to_tensor(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise ModelError(f"image {id_} cannot be decoded: rebuild the splits") from error


def _stack(decoded: list[Tensor], image_size: int | None, where: str) -> Tensor:
    """Images of one square size → uint8 [N, 3, S, S], resized in chunks where needed."""
    shapes = {tuple(image.shape) for image in decoded}
    (_, height, width) = decoded[0].shape
    if len(shapes) > 1 or height != width:
        raise ModelError(f"{where}: images must be of one square size, found {sorted(shapes)[:4]}")
    images = torch.stack(decoded)
    if image_size is None or image_size == height:
        return images
    size = [image_size, image_size]
    return torch.cat([resize(chunk, size, antialias=True) for chunk in images.split(512)])

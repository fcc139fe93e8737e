"""Encoded images in Parquet shards, each of which can be read by itself.

A Parquet reader takes a whole row group to give one row. `pipeline.core.tables` stores image bytes
uncompressed, so that they lie in the file as they are: one pass over a shard notes where, and from
then on an image is one short read. Of shards that others wrote compressed, a row costs its whole
group: right, but slow.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from models.data.augment import fit_size
from models.errors import ModelError

BYTES = "image.bytes"
FORMATS = ("PNG", "JPEG", "WEBP")  # that are decoded: others may start programs, as EPS does
_HEADER = 1 << 16  # bytes that may lie between two values: their lengths and the page's header


@dataclass(frozen=True)
class Shards:
    """Rows of images that stay in their files; a row is decoded when it is asked for."""

    paths: list[Path]
    places: np.ndarray  # int64 [N, 5]: shard, row group, row in it, offset (−1: unknown), length
    ids: list[str]
    stored: int  # pixels of a side in the shards
    image_size: int  # pixels of a side as given out

    def images(self, rows: Sequence[int], pool: Executor | None = None) -> Tensor:
        """The given rows, in the given order: uint8 [n, 3, image_size, image_size] RGB.

        `pool` decodes several at once. Resized with antialiasing where the stored size differs.
        Raises ModelError, naming the image, for one that is broken or of another size.
        """
        images = torch.stack(
            list(pool.map(self._decode, rows) if pool else map(self._decode, rows))
        )
        return fit_size(images, self.image_size)

    def _decode(self, row: int) -> Tensor:
        try:
            image = decode(self._encoded(row), self.ids[row])
        except ModelError as error:
            raise ModelError(f"{self.paths[int(self.places[row][0])]}: {error}") from error
        _, height, width = image.shape
        if (height, width) != (self.stored, self.stored):
            raise ModelError(
                f"image {self.ids[row]} is {width} × {height} px, the first is {self.stored} px: "
                "images must be of one square size, rebuild the splits"
            )
        return image

    def _encoded(self, row: int) -> bytes:
        """The file's bytes of one image."""
        shard, group, within, offset, length = (int(number) for number in self.places[row])
        try:
            if offset < 0:
                table = pq.ParquetFile(self.paths[shard]).read_row_group(
                    group, columns=[BYTES], use_threads=False
                )
                return table["image"][within].as_py()["bytes"] or b""
            with self.paths[shard].open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.paths[shard]} cannot be read any more ({error})") from error


def index(paths: Sequence[Path], image_size: int | None) -> tuple[Shards, pd.DataFrame]:
    """All rows of the shards by id, and their other columns as strings, row for row.

    `image_size` None keeps the stored size. Raises ModelError when a shard is no split table, when
    they hold no image, or when the first image is broken or not square.
    """
    read = [_index_one(number, path) for number, path in enumerate(paths)]
    # By id, so that how the rows lie in shards changes nothing, and the first ones are a sample.
    frame = pd.concat([columns for columns, _ in read], ignore_index=True)
    order = frame["id"].reset_index(drop=True).sort_values(kind="stable").index
    if frame.empty:
        raise ModelError(f"{paths[0].parent} holds no image of {paths[0].stem}: check the split")
    frame = frame.iloc[order].reset_index(drop=True)
    places = np.concatenate([places for _, places in read])[order]
    found = Shards(list(paths), places, list(frame.pop("id")), stored=0, image_size=0)
    _, height, width = decode(found._encoded(0), found.ids[0]).shape
    if height != width:
        raise ModelError(
            f"image {found.ids[0]} is {width} × {height} px: "
            "images must be of one square size, rebuild the splits"
        )
    found = Shards(found.paths, places, found.ids, height, image_size or height)
    return found, frame.astype(str)


def decode(encoded: bytes, id_: str) -> Tensor:
    """PNG, JPEG or WebP bytes → uint8 [3, H, W] RGB. ModelError, naming `id_`, when broken."""
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: a broken PNG
        raise ModelError(f"image {id_} cannot be decoded: rebuild the splits") from error


def _index_one(number: int, path: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """One shard's columns without images, and its rows of `Shards.places`."""
    try:
        with pq.ParquetFile(path) as table:
            columns = [name for name in table.schema_arrow.names if name != "image"]
            frame = pd.read_parquet(path, columns=columns).astype({"id": str})
            places = [np.empty((0, 5), dtype=np.int64)]
            # No rows, no type: an empty table may not even know that `image` is a struct.
            for group in range(table.num_row_groups if len(frame) else 0):
                values = table.read_row_group(group, columns=[BYTES])["image"].to_pylist()
                encoded = [value["bytes"] or b"" for value in values]
                offsets = _offsets(path, _bytes_column(table, group), encoded)
                rows = [
                    (number, group, within, offset, len(value))
                    for within, (offset, value) in enumerate(zip(offsets, encoded, strict=True))
                ]
                places.append(np.array(rows, dtype=np.int64).reshape(-1, 5))
    except (OSError, KeyError, TypeError, ValueError) as error:  # pyarrow's derive from these
        raise ModelError(f"{path} is not a split table ({error}): rebuild it") from error
    return frame, np.concatenate(places)


def _bytes_column(table: pq.ParquetFile, group: int) -> pq.ColumnChunkMetaData:
    """What the file says of the image bytes of one row group."""
    row_group = table.metadata.row_group(group)
    chunks = (row_group.column(i) for i in range(row_group.num_columns))
    return next(chunk for chunk in chunks if chunk.path_in_schema == BYTES)


def _offsets(path: Path, chunk: pq.ColumnChunkMetaData, values: Sequence[bytes]) -> list[int]:
    """Where each value lies in the file; −1 for all where one is not found as it is."""
    place, offsets = chunk.data_page_offset, []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for value in values:
            place = data.find(value, place, place + len(value) + _HEADER)
            if place < 0:
                return [-1] * len(values)
            offsets.append(place)
            place += len(value)
    return offsets

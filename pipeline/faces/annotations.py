"""Faces that came with the source: boxes in a CSV, or pictures that are face crops already."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd

from pipeline.core.errors import StageError

WHOLE = "whole"  # instead of a CSV: every picture is the crop of one face
COLUMNS = ["image", "x", "y", "w", "h"]
NAMES = ["id", "md5", "url"]  # what a picture may be called in the column ``image``
Box = tuple[float, float, float, float]  # x, y, width, height in pixels


def boxes_of(row: Mapping[Any, Any], shape: tuple[int, ...], source: str) -> list[Box]:
    """The boxes of a picture; none where the source names none.

    Args:
        row: the picture's raw row; its ``id``, ``md5`` or ``url`` is looked up.
        shape: height and width of the picture.
        source: ``whole``, or the path of a CSV with the columns of `COLUMNS`, one row a face.

    Raises StageError when the CSV is missing or malformed.
    """
    if source == WHOLE:
        return [(0.0, 0.0, float(shape[1]), float(shape[0]))]
    boxes = _read(source)
    return [box for name in NAMES for box in boxes.get(str(row.get(name)), [])]


@lru_cache(maxsize=4)
def _read(source: str) -> dict[str, list[Box]]:
    try:
        table = pd.read_csv(source, dtype={"image": str})
        values = table[COLUMNS].astype({name: float for name in COLUMNS[1:]})
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise StageError(
            f"faces.annotations: '{source}' is no CSV with the columns {', '.join(COLUMNS)} "
            f"({reason}); '{WHOLE}' says that every picture is one face"
        ) from None
    if values.isna().any().any() or (values[["w", "h"]] <= 0).any().any():
        raise StageError(f"faces.annotations: {source} has an empty cell or a box without extent")
    boxes: dict[str, list[Box]] = {}
    for image, x, y, width, height in values.itertuples(index=False):
        boxes.setdefault(image, []).append((x, y, width, height))
    return boxes

"""Curves of a training as a CSV file, read back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from models.errors import ModelError


def read_curves(path: Path, remedy: str) -> pd.DataFrame:
    """A table of numbers with a column `images`.

    Raises ModelError, in one line with the remedy, where the file is absent or something else.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {remedy}") from error
    kinds = frame.dtypes.map(pd.api.types.is_numeric_dtype)
    if "images" not in frame or frame["images"].isna().any() or not kinds.all():
        raise ModelError(f"{path} is no table of numbers over `images`: {remedy}")
    return frame

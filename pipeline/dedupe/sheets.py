"""What tells a person in a minute whether the thresholds of ``dedupe`` are right.

Pairs side by side, a table of the same pairs, and histograms of what decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.core import tables
from pipeline.core.params import Dedupe
from pipeline.duplicates.registration import Likeness
from pipeline.duplicates.rules import COPIES, DIFFERENT, VARIANT
from pipeline.figures import charts, sheets

SHOWN = 64  # pairs on a sheet: the least certain ones
LISTED = 128  # pairs of a sheet's kind in the table, those on the sheet first
KINDS = {"duplicates": COPIES, "variants": (VARIANT,), "different": (DIFFERENT,)}  # sheet, verdicts


def write(folder: Path, faces: pd.DataFrame, pairs: pd.DataFrame, settings: Dedupe) -> None:
    """Write ``{duplicates,variants,different}.png``, ``pairs.csv`` and ``pairs.png``.

    Args:
        folder: what is in it stays.
        faces: what ``dedupe`` read, rows numbered from 0.
        pairs: the pairs that it looked at, with their verdicts.
    """
    pairs = pairs.assign(doubt=_doubt(pairs, settings))
    listed = []
    for name, verdicts in KINDS.items():
        some = pairs[pairs["verdict"].isin(verdicts)]
        table = some.sort_values(["doubt", "first", "second"]).head(LISTED)
        table = table.assign(bits_64=[_distance_64(*pair) for pair in _couples(faces, table)])
        _draw(folder / f"{name}.png", faces, table.head(SHOWN))
        listed.append(table.assign(sheet=name))
    _readable(faces, pd.concat(listed)).to_csv(folder / "pairs.csv", index=False)
    limits = {
        "bits": settings.same_bits,
        "correlation": settings.same_correlation,
        "outline": settings.variant_correlation,
    }
    values = {name: pairs[name].dropna().to_numpy() for name in limits}
    charts.histograms(folder / "pairs.png", values, limits)


def _doubt(pairs: pd.DataFrame, settings: Dedupe) -> pd.Series:
    """How near a pair is to another verdict; 1 where the hash decides."""
    copy = (pairs["correlation"] - settings.same_correlation).abs()
    variant = (pairs["outline"] - settings.variant_correlation).abs()
    copies = pairs["verdict"].isin(COPIES)  # whatever their outlines are
    return copy.where(copies, np.minimum(copy, variant)).fillna(1.0)


def _couples(faces: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both faces of each pair, RGB uint8, the second as it was compared: mirrored or not."""
    images = faces["image"]
    for first, second, mirror in zip(pairs["first"], pairs["second"], pairs["mirror"], strict=True):
        other = tables.decode(images.iloc[second]["bytes"])
        turned = np.ascontiguousarray(other[:, ::-1]) if mirror else other
        yield tables.decode(images.iloc[first]["bytes"]), turned


def _distance_64(one: np.ndarray, other: np.ndarray) -> int:
    """Distance of the 64-bit pHash that everybody uses, to compare with its usual thresholds."""
    return int(imagehash.phash(Image.fromarray(one)) - imagehash.phash(Image.fromarray(other)))


def _draw(path: Path, faces: pd.DataFrame, pairs: pd.DataFrame) -> None:
    cells: list[np.ndarray] = []
    captions: list[str] = []
    for couple, row in zip(_couples(faces, pairs), pairs.to_dict("records"), strict=True):
        compared = pd.notna(row["correlation"])
        cells += couple
        captions += [
            f"{row['bits']} of 256 bits\n{row['bits_64']} of 64" + ", mirrored" * row["mirror"],
            f"colours {row['correlation']:.2f}\noutlines {row['outline']:.2f}"
            if compared
            else "the same\nby the hash",
        ]
    sheets.contact_sheet(path, cells, captions, columns=16)


def _readable(faces: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """``pairs`` with names instead of row numbers."""
    posts = (faces["source"] + "/" + faces["post_id"].astype(str)).to_numpy()
    names = {
        f"{side}_{name}": values[pairs[side]]
        for side in ("first", "second")
        for name, values in (("post", posts), ("id", faces["id"].to_numpy()))
    }
    columns = ["sheet", *names, "bits_64", "bits", "mirror", *Likeness._fields, "verdict"]
    return pairs.assign(**names)[columns].round(dict.fromkeys(Likeness._fields, 3))

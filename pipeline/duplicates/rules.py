"""What two faces are to each other, and which of them a data set keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core.params import Dedupe

SAME = "same"  # a copy, by the hash alone
SAME_PIXELS = "same_pixels"  # a copy, by its pixels
VARIANT = "variant"  # one drawing with another expression, palette or accessory
DIFFERENT = "different"
ALL = (SAME, SAME_PIXELS, VARIANT, DIFFERENT)
COPIES = (SAME, SAME_PIXELS)
# A copy with a watermark: the hash is a little further off than a copy's (in `same_bits`), and the
# colours are the same where there is no mark. Of 18 million pairs of anime faces one was so without
# being a copy, a drawing with another expression; of 50 million pairs of photos none.
MARKED_BITS, UNMARKED_CORRELATION = 1.4, 0.98


def decide(pairs: pd.DataFrame, settings: Dedupe) -> np.ndarray:
    """The verdict of each pair.

    Args:
        pairs: ``bits``, and the `registration.Likeness` of those whose pixels were compared.
    """
    near = pairs["bits"] <= MARKED_BITS * settings.same_bits
    marked = near & pairs["unmarked"].ge(UNMARKED_CORRELATION)
    rules = [
        pairs["bits"] <= settings.same_bits,
        pairs["correlation"].ge(settings.same_correlation) | marked,
        pairs["outline"] >= settings.variant_correlation,
    ]
    return np.select(rules, [SAME, SAME_PIXELS, VARIANT], DIFFERENT)


def keepers(order: Sequence[int], pairs: np.ndarray) -> np.ndarray:
    """For each row the row that stands for it: itself, or the best that it makes a pair with.

    Rows are visited best first; one that nobody stands for yet takes in its free partners.

    Args:
        order: all row numbers, best first.
        pairs: int [P, 2] of row numbers.
    """
    neighbours: dict[int, list[int]] = {}
    for one, other in pairs.tolist():
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    keeper = np.full(len(order), -1)
    for row in order:
        if keeper[row] < 0:
            free = [other for other in neighbours.get(row, []) if keeper[other] < 0]
            keeper[[row, *free]] = row
    return keeper


def kept_relations(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs of kept images of which one drawing, or copies or variants of it, is on both sides.

    A variant of a copy that went counts as a variant of the one that was kept for it.

    Args:
        pairs: ``anime_pairs.parquet``.

    Returns:
        Columns ``first`` and ``second``, ids of different images, each pair once.
    """
    related = pairs.loc[pairs["verdict"] != DIFFERENT, ["first_kept", "second_kept"]]
    ordered = pd.DataFrame(np.sort(related.to_numpy(str), axis=1), columns=["first", "second"])
    return ordered[ordered["first"] != ordered["second"]].drop_duplicates(ignore_index=True)

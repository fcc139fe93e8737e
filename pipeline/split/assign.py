"""Which split an image goes to, so that no near-duplicate, person or page straddles two.

A group, all photos of one CelebA identity or all faces of one post, goes where the hash of its key
and the seed says: added data never moves an image to another split. Near-duplicates (mirrored ones
too) of two groups that fell to different splits are the exception, and so are the variants of a
drawing that ``dedupe`` found. Moving one of the groups would break that promise, so the picture
leaves train for its copy in val or test, and val for one in test: such pictures are counted as
``left_out``, and test never changes but by growing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.errors import StageError
from pipeline.core.params import Split
from pipeline.duplicates import hashes
from pipeline.imaging.attributes import ATTRIBUTES

SPLITS = ("train", "val", "test")
FEWEST = {"train": 8, "val": 2, "test": 2}  # images of a domain without which nothing can be told
# What a picture shares with those it may not be parted from: its group's key.
TOGETHER = {"photos": ["identity"], "anime": ["source", "post_id"]}
ORIGIN = {
    "photos": ["file", "identity", "batch"],
    "anime": ["source", "url", "post_id", "raw_id", "batch", "cluster"]
    + ["box_x", "box_y", "box_w", "box_h", "left_x", "left_y", "right_x", "right_y"],
}
CHANGE = {
    "photos": "raise celeba.limit, demo.photos or split.max_per_domain",
    "anime": "crawl more, raise demo.faces or split.max_per_domain",
}


def split_domain(
    rows: pd.DataFrame,
    domain: str,
    settings: Split,
    workers: int,
    related: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """The rows of one domain by split, sorted by id.

    Args:
        rows: the output of the ``celeba`` or the ``dedupe`` stage.
        domain: ``photos`` or ``anime``.
        settings: the shares, the seed, and what near is.
        workers: processes.
        related: ``first`` and ``second``, ids of images that may not be parted either; some of
            them need not be among the rows.

    Returns:
        ``train``, ``val`` and ``test``, each with ``id``, ``image``, the attributes of
        `imaging.attributes`, the columns of `ORIGIN` and ``group``.

    Raises:
        StageError: a split has too few.
    """
    if settings.max_per_domain:
        drawn = rows["id"].map(lambda key: _share(settings.seed, key))
        rows = rows.loc[drawn.nsmallest(settings.max_per_domain).index]
    rows = rows.sort_values("id", ignore_index=True)
    signatures = hashes.sign(list(rows["image"]), workers, f"split: {domain}")
    distinct, alike = hashes.distinct(signatures)
    near = hashes.near_pairs(distinct, settings.near_bits)[["first", "second"]].to_numpy()
    told = np.zeros((0, 2), int) if related is None else _rows_of(related, rows["id"])
    group = rows[TOGETHER[domain]].astype(str).agg("/".join, axis=1)
    sides = group.map({key: assign(key, settings) for key in group.unique()})
    out = left_out(sides.tolist(), alike, near, told)
    table = rows[["id", "image", *ATTRIBUTES, *ORIGIN[domain]]].assign(group=group)
    parts = {name: table[(sides == name) & ~out].reset_index(drop=True) for name in SPLITS}
    for name, part in parts.items():
        if len(part) < FEWEST[name]:
            raise StageError(
                f"only {len(part)} of {len(table)} {domain} images fall to {name} (needed: "
                f"{FEWEST[name]}): {CHANGE[domain]}, or give {name} a larger share in split"
            )
    return parts


def _rows_of(related: pd.DataFrame, ids: pd.Series) -> np.ndarray:
    """The row numbers of those pairs of ids of which both are here: int [P, 2]."""
    row = pd.Series(ids.index, ids)
    here = related[related.isin(row.index).all(axis=1)]
    return row.reindex(here.to_numpy().ravel()).to_numpy(int).reshape(-1, 2)


def left_out(
    sides: Sequence[str], alike: np.ndarray, near: np.ndarray, related: np.ndarray
) -> np.ndarray:
    """Which rows must go so that no two that may not be parted are in two splits: bool [N].

    Of such a pair the row in train goes, or that in val where the other is in test; and a row that
    goes itself drives no other one out. A million rows of one hash are half a billion pairs, which
    are never written down.

    Args:
        sides: for each row its split.
        alike: int [N], the number of each row's hash: rows of one may not be parted.
        near: int [P, 2], numbers of hashes whose rows may not either.
        related: int [Q, 2], rows that may not, whatever their hashes.
    """
    rank = np.array([SPLITS.index(side) for side in sides])
    both = [np.concatenate([pairs, pairs[:, ::-1]]).T for pairs in (near, related)]
    (hash_one, hash_other), (one, other) = both
    out = np.zeros(len(rank), bool)
    for place in (SPLITS.index("val"), SPLITS.index("train")):
        kept = np.where(out, -1, rank)
        of_hash = np.full(alike.max(initial=-1) + 1, -1)
        np.maximum.at(of_hash, alike, kept)
        around = of_hash.copy()
        np.maximum.at(around, hash_one, of_hash[hash_other])
        highest = around[alike]  # of all that each row may not be parted from
        np.maximum.at(highest, one, kept[other])
        out |= (rank == place) & (highest > place)
    return out


def assign(key: str, settings: Split) -> str:
    """The split of a group: a pure function of its key, the seed and the shares."""
    share = _share(settings.seed, key)
    if share < settings.test:
        return "test"
    return "val" if share < settings.test + settings.val else "train"


def _share(seed: int, key: str) -> float:
    """A number in [0, 1) that looks random and follows from seed and key."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8]) / 2**64


def describe(
    parts: dict[str, pd.DataFrame], found: int, settings: Split, related: pd.DataFrame | None
) -> dict[str, Any]:
    """Sizes, groups, and the share of each attribute's values in one domain.

    Args:
        parts: `split_domain`'s result.
        found: the rows that it was made from.
        settings: of the stage.
        related: what `split_domain` was told may not be parted.
    """
    everything = pd.concat(parts.values())
    counts = {
        **{name: len(part) for name, part in parts.items()},
        "groups": int(everything["group"].nunique()),
        "largest_group": int(everything["group"].value_counts().iloc[0]),
        "attributes": {
            name: everything[name].value_counts(normalize=True).sort_index().to_dict()
            for name in ATTRIBUTES
        },
    }
    counts["left_out"] = min(found, settings.max_per_domain or found) - len(everything)
    if related is not None:
        both = related.isin(set(everything["id"])).all(axis=1)
        counts["related_pairs"] = int(both.sum())
    return counts

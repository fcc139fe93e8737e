"""Which photos of CelebA are wanted (labels, share of men, a sample), and what is said of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crawl.names import nearest
from pipeline.celeba.layout import ATTRIBUTES, IDENTITY
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Celeba

BATCH = 100  # photos of a shard, as `crawl` has it for posts
EXTRA = ["identity", "partition"]  # columns of `layout.read_labels` that are no labels


def choose(rows: pd.DataFrame, settings: Celeba) -> tuple[pd.DataFrame, dict[str, int]]:
    """The wanted rows, at most ``limit``, and the count left after each rule.

    Column ``batch`` is a row's place in the order of drawing, in steps of `BATCH`.

    Whatever is drawn is drawn by the hash of seed and file name, smallest first: a larger limit or
    share adds to a smaller one, and as the copy grows in the same mix, those near the bound may
    change places and all others stay.

    Args:
        rows: bools of all labels, indexed by file name, and the columns of `EXTRA`.

    Raises StageError for an unknown label, rules that contradict, or when nothing is left.
    """
    counts: dict[str, int] = {}
    labels = [column for column in rows.columns if column not in EXTRA]
    for rule, wanted in (("keep", settings.keep), ("drop", settings.drop)):
        for label, value in wanted.items():
            if label not in labels:
                raise StageError(f"celeba.{rule}: unknown label '{label}'{nearest(label, labels)}")
            rows = rows[(rows[label] == value) == (rule == "keep")]
            left = value if rule == "keep" else not value
            counts[f"after_{label}_{'yes' if left else 'no'}"] = len(rows)
    if rows.empty:
        raise StageError(f"celeba.keep, celeba.drop: no image is left ({counts}): ask for fewer")
    if settings.male_fraction is not None:
        rows = _mix(rows, settings.male_fraction, settings.seed)
        counts["after_male_fraction"] = len(rows)
    if settings.limit:
        rows = _sample(rows, settings.limit, settings.seed)
        counts["sampled"] = len(rows)
    places = np.argsort(_order(rows, settings.seed))
    return rows.assign(batch=(places // BATCH).astype("int32")), counts


def funnel(counts: Mapping[str, Any]) -> str:
    """``listed 2,300 → present 2,300 → after_Male_no 1,703 → …``: one line for a person."""
    steps = ("listed", "present", "after_", "sampled", "kept")
    return " → ".join(f"{name} {n:,}" for name, n in counts.items() if name.startswith(steps))


def warnings(counts: Mapping[str, Any], settings: Celeba, align: Align) -> list[str]:
    """What a person should know about the photos, a line each; empty when all is well."""
    missing, unlisted = counts["images_missing"], counts["images_unlisted"]
    strangers, men = counts.get("identity_unknown", 0), counts.get("male_share", 0.0)  # of labels
    wanted = settings.male_fraction
    said = {
        f"{missing} of {counts['listed']} listed images are not in {settings.path}": missing,
        f"{unlisted} images have no row in {ATTRIBUTES}": unlisted,
        f"{counts.get('no_pictures', 0)} files in {settings.path} are no pictures, and left "
        "out": counts.get("no_pictures", 0),
        f"{counts['enlarged']} of {counts['kept']} photos are enlarged to align.size "
        f"{align.size}: a smaller size would lose nothing": counts["enlarged"],
        f"{strangers} photos have no identity, so that one person may be in train "
        f"and in test: add {IDENTITY}": strangers,
        f"male_fraction {wanted} asks for more men than there are: {men:.3f} is their share": wanted
        and men < 0.9 * wanted,
    }
    return [line for line, holds in said.items() if holds]


def _mix(rows: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """All women, and as many men that they are ``share`` of both; all men where there are fewer."""
    if "Male" not in rows:
        raise StageError(f"celeba.male_fraction: {ATTRIBUTES} has no column 'Male': take it away")
    women, men = rows[~rows["Male"]], rows[rows["Male"]]
    if women.empty or (men.empty and share):
        one = "men" if men.empty else "women"
        raise StageError(
            f"celeba.male_fraction: the other rules leave no {one}: take Male out of celeba.keep "
            "and celeba.drop, or take male_fraction away"
        )
    wanted = round(share / (1 - share) * len(women))
    chosen = _sample(men, wanted, seed).index
    return rows[~rows["Male"] | rows.index.isin(chosen)]


def _sample(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    return rows.iloc[sorted(_order(rows, seed)[:most])]


def _order(rows: pd.DataFrame, seed: int) -> list[int]:
    """Row numbers in the order of drawing."""
    keys = [hashlib.sha256(f"{seed}:{file}".encode()).digest() for file in rows.index]
    return sorted(range(len(rows)), key=keys.__getitem__)

"""Stage ``split``: both domains into train, val and test → ``data/splits/{train,val,test}/``.

What belongs together stays on one side: all photos of one CelebA identity, all faces of one post,
and near-duplicates (mirrored ones too). A group goes where the hash of its key and the seed says,
so that added data never moves it, unless a new member with a smaller key joins it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline import hashes, params, sheets, stage, tables, tracking
from pipeline.errors import StageError
from pipeline.params import Split
from pipeline.paths import ANIME, PHOTOS
from pipeline.paths import SPLITS as OUT
from pipeline.vocabulary import ATTRIBUTES

SHEETS = stage.SHEETS / "split"
METRICS = stage.METRICS / "split.json"
SPLITS = ("train", "val", "test")
FEWEST = {"train": 8, "val": 2, "test": 2}  # images of a domain without which nothing can be told
# What a picture shares with those it may not be parted from; the smallest is its group's key.
TOGETHER = {"photos": ["identity"], "anime": ["source", "post_id"]}
ORIGIN = {
    "photos": ["file", "identity"],
    "anime": ["source", "url", "post_id", "raw_id", "cluster"]
    + ["box_x", "box_y", "box_w", "box_h", "left_x", "left_y", "right_x", "right_y"],
}
CHANGE = {
    "photos": "raise celeba.limit, demo.photos or split.max_per_domain",
    "anime": "crawl more, raise demo.faces or split.max_per_domain",
}


def split_domain(
    rows: pd.DataFrame, domain: str, settings: Split, workers: int
) -> dict[str, pd.DataFrame]:
    """The rows of one domain by split, sorted by id.

    Args:
        rows: the output of the ``celeba`` or the ``dedupe`` stage.
        domain: ``photos`` or ``anime``.

    Returns ``train``, ``val`` and ``test``, each with ``id``, ``image``, the five attributes of
    `vocabulary`, the columns of `ORIGIN` and ``group``. Raises StageError when a split has too few.
    """
    if settings.max_per_domain:
        drawn = rows["id"].map(lambda key: _share(settings.seed, key))
        rows = rows.loc[drawn.nsmallest(settings.max_per_domain).index]
    rows = rows.sort_values("id", ignore_index=True)
    signatures = hashes.sign(list(rows["image"]), workers, f"split: {domain}")
    pairs = hashes.near_pairs(signatures, settings.near_bits)
    group = groups(rows, TOGETHER[domain], pairs[["first", "second"]].to_numpy())
    table = rows[["id", "image", *ATTRIBUTES, *ORIGIN[domain]]].assign(group=group)
    sides = table["group"].map({key: assign(key, settings) for key in table["group"].unique()})
    parts = {name: table[sides == name].reset_index(drop=True) for name in SPLITS}
    for name, part in parts.items():
        if len(part) < FEWEST[name]:
            raise StageError(
                f"only {len(part)} of {len(table)} {domain} images fall to {name} (needed: "
                f"{FEWEST[name]}): {CHANGE[domain]}, or give {name} a larger share in split"
            )
    return parts


def groups(rows: pd.DataFrame, together: Sequence[str], pairs: np.ndarray) -> list[str]:
    """For each row the key of its group: the smallest value of ``together`` among its members.

    Rows that agree in ``together``, and rows of ``pairs`` (int [P, 2]), are in one group, and so
    is what these link.
    """
    keys = rows[list(together)].astype(str).agg("/".join, axis=1).tolist()
    first_of: dict[str, int] = {}
    alike = [(first_of.setdefault(key, row), row) for row, key in enumerate(keys)]
    linked = np.array([*alike, *pairs.tolist()], np.int64).reshape(-1, 2)
    root = hashes.groups_of(len(rows), linked)
    smallest: dict[int, str] = {}
    for row, key in zip(root.tolist(), keys, strict=True):
        smallest[row] = min(key, smallest.get(row, key))
    return [smallest[row] for row in root.tolist()]


def assign(key: str, settings: Split) -> str:
    """The split of a group: a pure function of its key, the seed and the shares."""
    share = _share(settings.seed, key)
    if share < settings.test:
        return "test"
    return "val" if share < settings.test + settings.val else "train"


def _share(seed: int, key: str) -> float:
    """A number in [0, 1) that looks random and follows from seed and key."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8]) / 2**64


def describe(parts: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Sizes, groups, and the share of each attribute's values in one domain."""
    everything = pd.concat(parts.values())
    return {
        **{name: len(part) for name, part in parts.items()},
        "groups": int(everything["group"].nunique()),
        "largest_group": int(everything["group"].value_counts().iloc[0]),
        "attributes": {
            name: everything[name].value_counts(normalize=True).sort_index().to_dict()
            for name in ATTRIBUTES
        },
    }


def main() -> None:
    """Run the stage."""
    settings, exclude = params.load(params.Split), params.load(params.Exclude)
    tracked = params.plain(settings, exclude)
    with tracking.stage_run("split", tracked, inputs=[ANIME, PHOTOS]) as run:
        metrics: dict[str, Any] = {}
        with tables.new_folder(OUT) as out:
            for domain, folder in (("photos", PHOTOS), ("anime", ANIME)):
                rows = tables.read_frame(folder, name=domain)
                excluded = exclude.exclusions().mask(rows)
                parts = split_domain(rows[~excluded], domain, settings, stage.workers())
                for name, part in parts.items():
                    tables.write_frame(out / name, domain, part)
                metrics[domain] = {"excluded": int(excluded.sum()), **describe(parts)}
                attributes = metrics[domain]["attributes"]
                sheets.bars(SHEETS / f"{domain}_attributes.png", attributes, domain)
                shown = parts["train"].head(100)
                faces = [tables.decode(image["bytes"]) for image in shown["image"]]
                sheets.contact_sheet(SHEETS / f"{domain}.png", faces)
        stage.write_json(METRICS, metrics)
        run.metrics(metrics)
        run.artifact(SHEETS, "split")


if __name__ == "__main__":
    stage.run(main)

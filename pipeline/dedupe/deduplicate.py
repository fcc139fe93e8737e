"""One face of every set of copies, the best, and what its copies know of it.

In stages, because one threshold either misses crops or takes two faces for one: pairs whose 256-bit
perceptual hashes are close (mirror images too) are duplicates, pairs a little further apart are
compared pixel by pixel after registration, and the rest are different. An image with a border is
looked at without it, too. Of those compared, one drawing in other colours or with another
expression is a variant. A face is dropped only when it is itself a duplicate or variant of the one
that is kept: there are no chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import tables
from pipeline.core import workers as parallel
from pipeline.core.params import Dedupe
from pipeline.duplicates import hashes
from pipeline.duplicates.borders import trim
from pipeline.duplicates.registration import Likeness, compare, shrink
from pipeline.duplicates.rules import ALL, COPIES, SAME_PIXELS, VARIANT, decide, keepers
from pipeline.imaging.attributes import ATTRIBUTES, MEASURED, UNKNOWN, from_tags, known_or_measured

AT_ONCE = 1 << 16  # pairs whose pixels are in memory: less than a gigabyte
ANY_COLOURS_BITS = 64  # of 256: this close, the pixels decide however the coarse colours differ
Image = dict[str, Any]  # {"bytes", "path"}


@dataclass(frozen=True)
class Deduped:
    """The kept rows, the dropped rows, the pairs that were looked at, and counts."""

    kept: pd.DataFrame
    dropped: pd.DataFrame
    pairs: pd.DataFrame  # first, second (row numbers of the input), bits, mirror, verdict, …
    counts: dict[str, Any]


def dedupe(faces: pd.DataFrame, settings: Dedupe, workers: int) -> Deduped:
    """Keep the best of every set of copies, and of variants if those are to be dropped.

    The best is the largest in its picture, then the sharpest, then the biggest file, then by id.

    Args:
        faces: the rows of the ``faces`` stage.
        settings: how alike copies and variants are, and whether variants are kept.
        workers: processes.

    Returns:
        Kept rows with ``cluster`` (the smallest id among the rows it stands for), ``copies`` (their
        number) and the copies' tags merged in; their attributes are read anew from those.
    """
    faces = faces.reset_index(drop=True)
    signatures = hashes.sign(list(faces["image"]), workers, "dedupe: hash", trimmed=True)
    any_colours = max(settings.same_bits, min(settings.unsure_bits, ANY_COLOURS_BITS))
    pairs = hashes.near_pairs(signatures, any_colours, settings.unsure_bits)
    pairs = _settle(list(faces["image"]), signatures.image, pairs, settings, workers)
    unwanted = [*COPIES, VARIANT] if settings.variants == "drop" else [*COPIES]
    repeats = pairs[pairs["verdict"].isin(unwanted)]
    keeper = keepers(_quality_order(faces), repeats[["first", "second"]].to_numpy())
    faces = faces.assign(keeper=keeper)
    ids = faces["id"].to_numpy()
    pairs = pairs.assign(
        first_kept=ids[keeper[pairs["first"]]], second_kept=ids[keeper[pairs["second"]]]
    )
    own = faces.index == faces["keeper"]
    dropped = _explain(faces[~own], ids, repeats)
    kept = _merge(faces, faces[own], dropped["verdict"].eq(VARIANT))
    dropped = dropped.sort_values(["id", "url"], ignore_index=True)
    return Deduped(kept, dropped, pairs, _count(faces, kept, dropped, pairs))


def _quality_order(faces: pd.DataFrame) -> list[int]:
    key = faces[["eye_distance", "sharpness", "id"]].assign(
        size=[len(image["bytes"]) for image in faces["image"]]
    )
    best = key.sort_values(
        ["eye_distance", "sharpness", "size", "id"], ascending=[False, False, False, True]
    )
    return best.index.tolist()


def _settle(
    images: Sequence[Image],
    view_of: np.ndarray,
    pairs: pd.DataFrame,
    settings: Dedupe,
    workers: int,
) -> pd.DataFrame:
    """Pairs of images with the `Likeness` (NaN where the hash decides) and the verdict.

    Args:
        images: encoded.
        view_of: int [N], which image each view is of; those from ``len(images)`` on are trimmed.
        pairs: of views. Where two images are a pair in several views, the one in which they are
            most alike is left.
    """
    unsure = pairs.index[pairs["bits"] > settings.same_bits]
    blocks = [unsure[start : start + AT_ONCE] for start in range(0, len(unsure), AT_ONCE)]
    alike = [_alike(images, view_of, pairs.loc[block], workers) for block in blocks]
    likeness = np.concatenate([np.zeros((0, len(Likeness._fields))), *alike])
    pairs = pairs.join(pd.DataFrame(likeness, unsure, columns=Likeness._fields))
    return _of_images(pairs.assign(verdict=decide(pairs, settings)), view_of)


def _alike(
    images: Sequence[Image], view_of: np.ndarray, pairs: pd.DataFrame, workers: int
) -> np.ndarray:
    """The `Likeness` of every pair of views, float [P, F]."""
    rows = pairs[["first", "second", "mirror"]].to_numpy().tolist()
    wanted = sorted({index for first, second, _ in rows for index in (first, second)})
    # Decoded once, however many pairs a view is in.
    views = [(images[view_of[index]], index >= len(images)) for index in wanted]
    shrunk = parallel.over_chunks(_shrink, views, 256, workers=workers, label="dedupe: shrink")
    small = dict(zip(wanted, shrunk, strict=True))
    couples = [(small[one], small[other], mirror) for one, other, mirror in rows]
    told = parallel.over_chunks(_compare, couples, 256, workers=workers, label="dedupe: compare")
    return np.array(told, float)


def _of_images(pairs: pd.DataFrame, view_of: np.ndarray) -> pd.DataFrame:
    """``pairs`` of views as pairs first < second of images: the most alike views of each."""
    both = np.sort(view_of[pairs[["first", "second"]].to_numpy()], axis=1)
    pairs = pairs.assign(first=both[:, 0], second=both[:, 1], rank=pairs["verdict"].map(ALL.index))
    pairs = pairs[pairs["first"] != pairs["second"]]
    pairs = pairs.sort_values(["first", "second", "rank", "bits"], kind="stable")
    return pairs.drop_duplicates(["first", "second"], ignore_index=True).drop(columns="rank")


def _shrink(chunk: Sequence[tuple[Image, bool]]) -> list[np.ndarray]:
    whole = [(tables.decode(image["bytes"]), trimmed) for image, trimmed in chunk]
    return [shrink(trim(rgb) if trimmed else rgb) for rgb, trimmed in whole]


def _compare(couples: Sequence[tuple[np.ndarray, np.ndarray, bool]]) -> list[Likeness]:
    return [
        compare(one, np.ascontiguousarray(other[:, ::-1]) if mirror else other)
        for one, other, mirror in couples
    ]


def _merge(faces: pd.DataFrame, kept: pd.DataFrame, variant: pd.Series) -> pd.DataFrame:
    """Kept rows with what their copies know; tags of a page with other faces say nothing sure.

    A ``variant`` (bool, of the dropped rows) may smile where the kept one does not, so it says
    nothing either.
    """
    columns = ["id", "tags", "page_faces", "keeper"]
    groups = faces[columns].groupby("keeper")
    variants = set(variant.index[variant])
    rows = []
    for index, row in kept.drop(columns="keeper").iterrows():
        group = groups.get_group(index)
        copies = group[~group.index.isin(variants)]
        alone = copies.loc[copies["page_faces"] == 1, "tags"]
        known = from_tags(_union(alone)) if len(alone) else dict.fromkeys(ATTRIBUTES, UNKNOWN)
        measured = {f"{part}_measured": row[f"{part}_measured"] for part in MEASURED}
        rows.append(
            dict(row)
            | known_or_measured(known, measured)
            | {"tags": _union(copies["tags"]), "cluster": group["id"].min(), "copies": len(group)}
        )
    return pd.DataFrame(rows).sort_values("id", ignore_index=True)


def _union(tags: pd.Series) -> str:
    return " ".join(sorted({tag for line in tags.fillna("") for tag in line.split()}))


def _explain(dropped: pd.DataFrame, ids: np.ndarray, repeats: pd.DataFrame) -> pd.DataFrame:
    """Dropped rows without pixels: whose copy or variant each is, and what said so."""
    evidence = {(row.first, row.second): row for row in repeats.itertuples()}
    rows = []
    for index, row in dropped.drop(columns="image").iterrows():
        pair = evidence[min(index, row["keeper"]), max(index, row["keeper"])]
        rows.append(
            dict(row.drop("keeper"))
            | {"kept_id": ids[row["keeper"]], "bits": pair.bits, "mirror": pair.mirror}
            | {name: getattr(pair, name) for name in (*Likeness._fields, "verdict")}
        )
    extra = ["kept_id", "bits", "mirror", *Likeness._fields, "verdict"]
    columns = [*dropped.columns.drop(["image", "keeper"]), *extra]
    kinds = dropped.dtypes.reindex(columns).dropna()  # so that an empty table has them too
    return pd.DataFrame(rows, dropped.index, columns=columns).astype(kinds)


def _count(
    faces: pd.DataFrame, kept: pd.DataFrame, dropped: pd.DataFrame, pairs: pd.DataFrame
) -> dict[str, Any]:
    verdicts = pairs["verdict"].value_counts()
    source_of = kept.set_index("id")["source"].to_dict()
    elsewhere = dropped["kept_id"].map(source_of) != dropped["source"]
    return {
        "faces": len(faces),
        "kept": len(kept),
        "dropped": len(dropped),
        "dropped_share": len(dropped) / max(len(faces), 1),
        "dropped_mirrored": int(dropped["mirror"].sum()),
        "dropped_across_sources": int(elsewhere.sum()),
        "dropped_by_pixels": int((dropped["verdict"] == SAME_PIXELS).sum()),
        "dropped_variants": int((dropped["verdict"] == VARIANT).sum()),
        "largest_cluster": int(kept["copies"].max()) if len(kept) else 0,
        "pairs": {name: int(verdicts.get(name, 0)) for name in ALL},
        "kept_sources": kept["source"].value_counts().sort_index().to_dict(),
    }

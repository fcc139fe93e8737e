"""Stage ``celeba``: the photos of CelebA that pass the label filter, aligned → ``data/photos/``.

Reads the official layout (see `celeba_layout`), keeps the images whose labels are as asked, and
aligns them on the two eyes to the template that the anime faces have. Images that cannot be read
are counted and listed in ``data/dropped/photos.parquet``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import celeba_layout, images, parallel, params, sheets, stage, tables, tracking
from pipeline.align import align_face
from pipeline.errors import StageError
from pipeline.params import Align, Celeba, Exclude
from pipeline.paths import DROPPED
from pipeline.paths import PHOTOS as OUT
from pipeline.vocabulary import from_celeba

SHEET = stage.SHEETS / "celeba"
METRICS = stage.METRICS / "celeba.json"
EXTRA = ["identity", "partition", "eyes"]  # columns of `read_rows` that are no labels


@dataclass(frozen=True)
class Photos:
    """What the stage found: the kept photos, the unreadable files, and a count per outcome."""

    frame: pd.DataFrame
    corrupt: pd.DataFrame  # file, reason
    counts: dict[str, int]


def choose(rows: pd.DataFrame, settings: Celeba) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows with the wanted labels, at most ``limit``, and the count left after each rule.

    The sample is the files with the smallest hash of seed and name: a larger limit adds to it.
    Raises StageError for an unknown label, or when nothing is left.
    """
    counts = {"listed": len(rows)}
    labels = [column for column in rows.columns if column not in EXTRA]
    for label, wanted in settings.keep.items():
        if label not in labels:
            raise StageError(f"celeba.keep: unknown label '{label}'{params.nearest(label, labels)}")
        rows = rows[rows[label] == wanted]
        counts[f"after_{label}_{'yes' if wanted else 'no'}"] = len(rows)
    if rows.empty:
        raise StageError(f"celeba.keep: no image has these labels ({counts}): ask for fewer")
    if settings.limit:
        keys = [hashlib.sha256(f"{settings.seed}:{file}".encode()).digest() for file in rows.index]
        order = sorted(range(len(rows)), key=keys.__getitem__)
        rows = rows.iloc[sorted(order[: settings.limit])]
        counts["sampled"] = len(rows)
    return rows, counts


def align_photos(settings: Celeba, align: Align, exclude: Exclude, workers: int) -> Photos:
    """Read, filter and align the copy of CelebA at ``settings.path``, less the excluded photos.

    An excluded photo keeps its place in the sample: no other one comes in for it.

    Returns rows with ``id``, ``image`` (PNG, RGB [S, S, 3]), ``file``, ``identity``,
    ``partition``, the labels as bools and the five attributes of `vocabulary`.
    Raises StageError for every mistake in the copy that is more than a damaged image.
    """
    rows = celeba_layout.read_rows(settings.path, settings.eyes == "landmarks")
    found = celeba_layout.find_images(settings.path)
    absent = rows.index[~rows.index.isin(list(found.members))]
    if len(absent):
        raise StageError(
            f"{celeba_layout.ATTRIBUTES} lists {len(absent)} of {len(rows)} images that are not in "
            f"{found.path}, first {absent[0]}: unpack all of it, or take both from one copy"
        )
    chosen, counts = choose(rows, settings)
    tasks = parallel.chunks(list(chosen["eyes"].items()), 256)
    results = parallel.over(
        partial(_align_chunk, found, align),
        tasks,
        workers=workers,
        label="celeba",
        total=-(-len(chosen) // 256),
    )
    outcomes = pd.DataFrame([outcome for chunk in results for outcome in chunk])
    outcomes.loc[exclude.exclusions().mask(outcomes), "problem"] = "excluded"
    return _collect(chosen, outcomes, counts, settings.path)


def _align_chunk(
    found: celeba_layout.Images, align: Align, chunk: Sequence[tuple[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """One outcome per image: its face, or ``problem`` and ``reason``."""
    eyes = dict(chunk)
    return [_align_one(file, data, eyes[file], align) for file, data in found.read(list(eyes))]


def _align_one(file: str, data: bytes, eyes: np.ndarray, align: Align) -> dict[str, Any]:
    outcome: dict[str, Any] = {"file": file, "problem": "", "reason": "", "id": "", "image": None}
    try:
        rgb = images.read_rgb(data)
    except StageError as error:
        return outcome | {"problem": "corrupt", "reason": str(error)}
    # Landmarks are in pixels of 178×218; a copy at another size keeps the proportions.
    scale = np.array(rgb.shape[1::-1]) / celeba_layout.SIZE
    if abs(scale[0] / scale[1] - 1) > 0.02:
        size = f"{rgb.shape[1]}×{rgb.shape[0]}"
        return outcome | {"problem": "corrupt", "reason": f"{size} is not the shape of 178×218"}
    places = (np.asarray(eyes) + 0.5) * scale - 0.5
    if np.linalg.norm(places[1] - places[0]) < 1:
        return outcome | {"problem": "corrupt", "reason": "both eyes at one place in the landmarks"}
    face, border = align_face(rgb, places, align)
    if border > align.max_border:
        return outcome | {"problem": "border"}
    image = {"bytes": tables.encode_png(face), "path": file}
    return outcome | {"id": images.pixel_id(face), "image": image}


def _collect(
    chosen: pd.DataFrame, outcomes: pd.DataFrame, counts: dict[str, int], path: Path
) -> Photos:
    corrupt = outcomes.loc[outcomes["problem"] == "corrupt", ["file", "reason"]].astype("str")
    good = outcomes[outcomes["problem"] == ""]
    kept = good.drop_duplicates("id")
    problems = Counter(outcomes["problem"])
    counts |= {
        "excluded": problems["excluded"],
        "corrupt": problems["corrupt"],
        "too_much_border": problems["border"],
        "exact_duplicates": len(good) - len(kept),
        "kept": len(kept),
    }
    if kept.empty:
        first = f" (first: {corrupt.iloc[0]['reason']})" if len(corrupt) else ""
        raise StageError(
            f"celeba: none of {len(chosen)} images of {path} is left, {problems['corrupt']} "
            f"unreadable{first}, {problems['border']} over align.max_border, "
            f"{problems['excluded']} in exclude: check the images"
        )
    labels = chosen.loc[kept["file"]].drop(columns=["eyes"])
    attributes = [from_celeba(row) for row in labels.to_dict("records")]
    frame = pd.concat(
        [
            kept[["id", "image", "file"]].reset_index(drop=True),
            labels.reset_index(drop=True),
            pd.DataFrame(attributes),
        ],
        axis=1,
    )
    return Photos(frame.sort_values("id", ignore_index=True), corrupt, counts)


def main() -> None:
    """Run the stage."""
    settings, align = params.load(params.Celeba), params.load(params.Align)
    exclude = params.load(params.Exclude)
    with tracking.stage_run(
        "celeba", params.plain(settings, align, exclude), inputs=[settings.path]
    ) as run:
        photos = align_photos(settings, align, exclude, stage.workers())
        with tables.new_folder(OUT) as out:
            tables.write_frame(out, "photos", photos.frame)
        tables.write_file(DROPPED / "photos.parquet", photos.corrupt)
        shown = photos.frame.head(100)
        faces = [tables.decode(image["bytes"]) for image in shown["image"]]
        sheets.contact_sheet(SHEET / "kept.png", faces, list(shown["hair"]))
        stage.write_json(METRICS, photos.counts)
        run.metrics(photos.counts)
        run.artifact(SHEET, "celeba")


if __name__ == "__main__":
    stage.run(main)

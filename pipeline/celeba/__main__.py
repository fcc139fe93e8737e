"""Stage ``celeba``: the photos of CelebA that pass the label filter, aligned → ``data/photos/``.

Reads a copy of CelebA in any of its layouts (see `layout`), keeps the images whose labels are as
asked, and aligns them on the two eyes to the template that the anime faces have. Images that
cannot be read are counted and listed in ``data/dropped/photos.parquet``. With ``celeba.images:
folder`` it reads any folder or zip of pictures instead, of which no label is known. ``celeba.eyes``
says how the eyes are found; with ``none`` it takes the middle of each picture.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crawl.archives.reader import find_file
from crawl.errors import CrawlError
from pipeline.celeba import layout, photo_folder
from pipeline.celeba.aligner import Aligner, Finder
from pipeline.celeba.download import download
from pipeline.celeba.mesh_eyes import MeshEyes
from pipeline.celeba.rules import choose, funnel, warnings
from pipeline.celeba.yunet import Yunet
from pipeline.core import params, stage, tables, tracking
from pipeline.core import workers as parallel
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Celeba, Exclude
from pipeline.core.paths import DROPPED
from pipeline.core.paths import PHOTOS as OUT
from pipeline.figures import sheets
from pipeline.imaging import photo_faces
from pipeline.imaging.attributes import ATTRIBUTES, UNKNOWN, from_celeba

SHEET = stage.SHEETS / "celeba"
METRICS = stage.METRICS / "celeba.json"
CHUNK = 256  # photos


@dataclass(frozen=True)
class Photos:
    """What the stage found: the kept photos, the unreadable files, and a count per outcome."""

    frame: pd.DataFrame
    corrupt: pd.DataFrame  # file, reason
    counts: dict[str, Any]


def align_photos(settings: Celeba, align: Align, exclude: Exclude, workers: int) -> Photos:
    """Read, filter and align the copy of CelebA at ``settings.path``, less the excluded photos.

    An excluded photo keeps its place in the sample: no other one comes in for it.

    Returns rows with ``id``, ``image`` (PNG, RGB [S, S, 3]), ``file``, ``identity``,
    ``partition``, the labels as bools and the attributes of `vocabulary`; of a plain folder no
    partition and no labels, and all attributes are ``unknown``.
    With ``settings.also`` come those of a plain folder, and their counts under ``also``.
    Raises StageError for every mistake in the copy that is more than a damaged image.
    """
    photos = _align_one(settings, align, exclude, workers)
    if not settings.also:
        return photos
    more = _align_one(photo_folder.further(settings), align, exclude, workers)
    frame = photo_folder.joined(photos.frame, more.frame)
    counts = photos.counts | {"also": more.counts, "photos": len(frame)}
    corrupt = pd.concat([photos.corrupt, more.corrupt], ignore_index=True)
    return Photos(frame, corrupt, counts)


def _align_one(settings: Celeba, align: Align, exclude: Exclude, workers: int) -> Photos:
    """`align_photos` of one folder."""
    rows, found = _listed(settings)
    found = found.called(rows.index)
    present = rows.index.isin(list(found.members))
    if not present.any():
        raise StageError(
            f"{found.path} holds none of the {len(rows)} images that {layout.ATTRIBUTES} "
            f"lists, first {rows.index[0]}: take both from one copy of CelebA"
        )
    chosen, counts = choose(rows[present], settings)
    counts = {"listed": len(rows), "present": int(present.sum())} | counts
    aligner = Aligner(found, align, settings.images, _finder(settings))
    places = zip(chosen.index, _places(settings, chosen.index), strict=True)
    tasks = list(parallel.chunks(list(places), CHUNK))
    results = parallel.over(aligner, tasks, workers=workers, label="celeba", total=len(tasks))
    outcomes = pd.DataFrame([outcome for chunk in results for outcome in chunk])
    outcomes.loc[exclude.exclusions().mask(outcomes), "problem"] = "excluded"
    photos = _collect(chosen, outcomes, counts, settings)
    photos.counts["images_missing"] = int((~present).sum())
    photos.counts["images_unlisted"] = len(found.members) - int(present.sum())
    if found.others:
        photos.counts["no_pictures"] = found.others
    return photos


def _listed(settings: Celeba) -> tuple[pd.DataFrame, layout.Images]:
    """What is known of each image, and where the images are."""
    if settings.images == "folder":
        photo_folder.check(settings)
        found = photo_folder.find_images(settings.path)
        return photo_folder.unlabelled(found), found
    if settings.download:
        download(settings.path)
    rows = layout.read_labels(settings.path)
    return rows, layout.find_images(settings.path, settings.images)


def _finder(settings: Celeba) -> Callable[[], Finder] | None:
    """What loads the detector that ``celeba.eyes`` names; None where it names none.

    A YuNet model lies beside the images or at a place from the root. A wrong one, or public weights
    that are missing, end here, not in a worker.
    """
    if settings.eyes == "mesh":
        return partial(MeshEyes, *photo_faces.weights())
    if not settings.eyes.endswith(".onnx"):
        return None
    folder = settings.path if settings.path.is_dir() else settings.path.parent
    advice = "put a YuNet model (ONNX) there"
    try:
        model = find_file(Path(settings.eyes), folder, "celeba.eyes", advice)
    except CrawlError as error:
        raise StageError(str(error)) from None
    Yunet(model)
    return partial(Yunet, model)


def _places(settings: Celeba, files: pd.Index) -> np.ndarray:
    """What is known before looking at the pixels of each photo: float64 [N, P, 2].

    Five landmarks; or the two eyes of CelebA's template; or, for a detector, the face's middle
    (NaN: unknown); or nothing, where the picture is taken as it stands.
    """
    wild = settings.images == "wild"
    if settings.eyes == "none":
        return np.zeros((len(files), 0, 2))
    if settings.eyes == "landmarks":
        return layout.read_landmarks(settings.path, settings.images, files)
    if settings.eyes == "template" and wild:
        raise StageError(
            "celeba.eyes: template holds for aligned images only: say landmarks or mesh, or name a "
            "YuNet model, for celeba.images: wild"
        )
    if settings.eyes == "template" or (settings.eyes == "mesh" and settings.images == "aligned"):
        return np.broadcast_to(layout.TEMPLATE_EYES, (len(files), 2, 2))
    unknown = np.full((len(files), 2), np.nan)
    return (layout.read_centres(settings.path, files) if wild else unknown)[:, None]


def _collect(
    chosen: pd.DataFrame, outcomes: pd.DataFrame, counts: dict[str, Any], settings: Celeba
) -> Photos:
    """The kept photos with their labels, the unreadable ones, and how many met which end."""
    corrupt = outcomes.loc[outcomes["problem"] == "corrupt", ["file", "reason"]].astype("str")
    good = outcomes[outcomes["problem"] == ""]
    kept = good.drop_duplicates("id")
    problems = Counter(outcomes["problem"])
    counts |= {
        "excluded": problems["excluded"],
        "corrupt": problems["corrupt"],
        "no_face": problems["no_face"],
        "too_much_border": problems["border"],
        "exact_duplicates": len(good) - len(kept),
        "kept": len(kept),
    }
    if kept.empty:
        first = f" (first: {corrupt.iloc[0]['reason']})" if len(corrupt) else ""
        raise StageError(
            f"celeba: none of {len(chosen)} images of {settings.path} is left, "
            f"{problems['corrupt']} unreadable{first}, {problems['no_face']} without a face, "
            f"{problems['border']} over align.max_border, {problems['excluded']} in exclude: check "
            "the images"
        )
    counts["enlarged"] = int(kept["enlarged"].sum())
    frame = _labelled(kept, chosen.loc[kept["file"]], settings.images != "folder")
    if settings.images != "folder":
        if "Male" in frame:
            counts["male_share"] = float(frame["Male"].mean())
        counts["identity_unknown"] = int((frame["identity"] < 0).sum())
    return Photos(frame.sort_values("id", ignore_index=True), corrupt, counts)


def _labelled(kept: pd.DataFrame, labels: pd.DataFrame, known: bool) -> pd.DataFrame:
    """The kept photos beside what ``labels`` says of them, and the attributes that follow."""
    unknown = dict.fromkeys(ATTRIBUTES, UNKNOWN)
    attributes = [from_celeba(row) if known else unknown for row in labels.to_dict("records")]
    parts = [
        kept[["id", "image", "file"]].reset_index(drop=True),
        labels.reset_index(drop=True),
        pd.DataFrame(attributes).assign(yaw=kept["yaw"].to_numpy()),
    ]
    return pd.concat(parts, axis=1)


def main() -> None:
    """Run the stage."""
    settings, align = params.load(params.Celeba), params.load(params.Align)
    exclude = params.load(params.Exclude)
    tracked = params.plain(settings, align, exclude)
    with tracking.stage_run("celeba", tracked, inputs=[settings.path]) as run:
        photos = align_photos(settings, align, exclude, stage.workers())
        for line in warnings(photos.counts, settings, align):
            print(f"celeba: {line}", file=sys.stderr)
        print("celeba:", funnel(photos.counts))
        with tables.new_folder(OUT) as out:
            tables.write_frame(out, "photos", photos.frame, by=["batch"])
            tables.write_file(DROPPED / "photos.parquet", photos.corrupt)
        shown = photos.frame.head(100)
        faces = [tables.decode(image["bytes"]) for image in shown["image"]]
        captions = [] if settings.images == "folder" else list(shown["hair"])
        sheets.contact_sheet(SHEET / "kept.png", faces, captions)
        stage.write_json(METRICS, {**photos.counts, **exclude.exclusions().told()})
        run.metrics(photos.counts)
        run.artifact(SHEET, "celeba")


if __name__ == "__main__":
    stage.run(main)

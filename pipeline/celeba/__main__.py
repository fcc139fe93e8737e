"""Stage ``celeba``: the photos of CelebA that pass the label filter, aligned → ``data/photos/``.

Reads a copy of CelebA in any of its layouts (see `celeba_layout`), keeps the images whose labels
are as asked, and aligns them on the two eyes to the template that the anime faces have. Images that
cannot be read are counted and listed in ``data/dropped/photos.parquet``. With ``celeba.images:
folder`` it reads any folder or zip of pictures instead, of which no label is known, and with
``celeba.eyes: none`` it takes the middle of each picture.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.celeba import layout as celeba_layout
from pipeline.celeba import photo_folder
from pipeline.celeba.download import download
from pipeline.celeba.rules import choose, funnel, warnings
from pipeline.celeba.yunet import Yunet
from pipeline.core import params, stage, tables, tracking
from pipeline.core import workers as parallel
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Celeba, Exclude
from pipeline.core.paths import DROPPED
from pipeline.core.paths import PHOTOS as OUT
from pipeline.figures import sheets
from pipeline.imaging import images
from pipeline.imaging.align import align_face
from pipeline.imaging.attributes import ATTRIBUTES, UNKNOWN, from_celeba, yaw_bucket

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
    Raises StageError for every mistake in the copy that is more than a damaged image.
    """
    rows, found = _listed(settings)
    present = rows.index.isin(list(found.members))
    if not present.any():
        raise StageError(
            f"{found.path} holds none of the {len(rows)} images that {celeba_layout.ATTRIBUTES} "
            f"lists, first {rows.index[0]}: take both from one copy of CelebA"
        )
    chosen, counts = choose(rows[present], settings)
    counts = {"listed": len(rows), "present": int(present.sum())} | counts
    places = _places(settings, chosen.index)
    tasks = list(parallel.chunks(list(zip(chosen.index, places, strict=True)), CHUNK))
    task = partial(_align_chunk, found, align, settings)
    results = parallel.over(task, tasks, workers=workers, label="celeba", total=len(tasks))
    outcomes = pd.DataFrame([outcome for chunk in results for outcome in chunk])
    outcomes.loc[exclude.exclusions().mask(outcomes), "problem"] = "excluded"
    photos = _collect(chosen, outcomes, counts, settings)
    photos.counts["images_missing"] = int((~present).sum())
    photos.counts["images_unlisted"] = len(found.members) - int(present.sum())
    return photos


def _listed(settings: Celeba) -> tuple[pd.DataFrame, celeba_layout.Images]:
    """What is known of each image, and where the images are."""
    if settings.images == "folder":
        photo_folder.check(settings)
        found = photo_folder.find_images(settings.path)
        return photo_folder.unlabelled(found), found
    if settings.download:
        download(settings.path)
    rows = celeba_layout.read_labels(settings.path)
    return rows, celeba_layout.find_images(settings.path, settings.images)


def _places(settings: Celeba, files: pd.Index) -> np.ndarray:
    """What is known before looking at the pixels of each photo: float64 [N, P, 2].

    Five landmarks; or the two eyes of CelebA's template; or, for YuNet, the middle of the face; or
    nothing, where the picture is taken as it stands.
    """
    if settings.eyes == "none":
        return np.zeros((len(files), 0, 2))
    if settings.eyes == "landmarks":
        return celeba_layout.read_landmarks(settings.path, settings.images, files)
    if settings.eyes != "template":
        Yunet(Path(settings.eyes))  # a wrong path ends here, not in a worker
        if settings.images == "wild":
            return celeba_layout.read_centres(settings.path, files)[:, None]
        return np.full((len(files), 1, 2), np.nan)
    if settings.images == "wild":
        raise StageError(
            "celeba.eyes: template holds for aligned images only: say landmarks, or name a YuNet "
            "model, for celeba.images: wild"
        )
    return np.broadcast_to(celeba_layout.TEMPLATE_EYES, (len(files), 2, 2))


def _align_chunk(
    found: celeba_layout.Images,
    align: Align,
    settings: Celeba,
    chunk: Sequence[tuple[str, np.ndarray]],
) -> list[dict[str, Any]]:
    """One outcome per image: its face, or ``problem`` and ``reason``."""
    yunet = Yunet(Path(settings.eyes)) if settings.eyes.endswith(".onnx") else None
    places = dict(chunk)
    return [
        _align_one(file, data, places[file], align, settings.images, yunet)
        for file, data in found.read(list(places))
    ]


def _align_one(
    file: str, data: bytes, points: np.ndarray, align: Align, kind: str, yunet: Yunet | None
) -> dict[str, Any]:
    outcome: dict[str, Any] = {"file": file, "problem": "", "reason": "", "id": "", "image": None}
    outcome |= {"yaw": UNKNOWN, "enlarged": False}
    try:
        rgb = images.read_rgb(data)
    except StageError as error:
        return outcome | {"problem": "corrupt", "reason": str(error)}
    if not len(points):
        square = images.central_square(rgb, align.size)
        return outcome | _kept(file, square, min(rgb.shape[:2]) < align.size)
    if kind == "aligned":
        # Landmarks are in pixels of 178×218; a copy at another size keeps the proportions.
        scale = np.array(rgb.shape[1::-1]) / celeba_layout.SIZE
        if abs(scale[0] / scale[1] - 1) > 0.02:
            size = f"{rgb.shape[1]}×{rgb.shape[0]}"
            return outcome | {"problem": "corrupt", "reason": f"{size} is not as 178×218"}
        points = (points + 0.5) * scale - 0.5
    if yunet:
        seen = yunet.landmarks(rgb, points[0])
        if seen is None:
            return outcome | {"problem": "no_face"}
        points = seen
    distance = float(np.linalg.norm(points[1] - points[0]))
    if distance < 1:
        return outcome | {"problem": "corrupt", "reason": "both eyes at one place in the landmarks"}
    face, border = align_face(rgb, points[:2], align)
    if border > align.max_border:
        return outcome | {"problem": "border"}
    yaw = yaw_bucket(points[:2], points[2]) if len(points) == 5 else UNKNOWN
    return outcome | _kept(file, face, distance < align.eye_distance * align.size) | {"yaw": yaw}


def _kept(file: str, face: np.ndarray, enlarged: bool) -> dict[str, Any]:
    image = {"bytes": tables.encode_png(face), "path": file}
    return {"id": images.pixel_id(face), "image": image, "enlarged": enlarged}


def _collect(
    chosen: pd.DataFrame, outcomes: pd.DataFrame, counts: dict[str, Any], settings: Celeba
) -> Photos:
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
    labels = chosen.loc[kept["file"]]
    labelled = settings.images != "folder"
    unknown = dict.fromkeys(ATTRIBUTES, UNKNOWN)
    attributes = pd.DataFrame(
        [from_celeba(row) if labelled else unknown for row in labels.to_dict("records")]
    )
    frame = pd.concat(
        [
            kept[["id", "image", "file"]].reset_index(drop=True),
            labels.reset_index(drop=True),
            attributes.assign(yaw=kept["yaw"].to_numpy()),
        ],
        axis=1,
    )
    counts["enlarged"] = int(kept["enlarged"].sum())
    if labelled:
        counts["male_share"] = float(frame["Male"].mean())
        counts["identity_unknown"] = int((frame["identity"] < 0).sum())
    return Photos(frame.sort_values("id", ignore_index=True), corrupt, counts)


def main() -> None:
    """Run the stage."""
    settings, align = params.load(params.Celeba), params.load(params.Align)
    exclude = params.load(params.Exclude)
    with tracking.stage_run(
        "celeba", params.plain(settings, align, exclude), inputs=[settings.path]
    ) as run:
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
        stage.write_json(METRICS, photos.counts)
        run.metrics(photos.counts)
        run.artifact(SHEET, "celeba")


if __name__ == "__main__":
    stage.run(main)

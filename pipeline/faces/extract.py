"""From pictures to faces: every face is found, has to pass the gates, and is aligned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pipeline.core import tables
from pipeline.core import workers as parallel
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Exclude, Faces
from pipeline.faces.detect import Detection
from pipeline.faces.detectors import Found, find
from pipeline.faces.gates import GATES, failed_gate, sharpness
from pipeline.faces.measures import attributes, colours, mouth_measured, places
from pipeline.imaging import images
from pipeline.imaging.align import align_face
from pipeline.imaging.animeface_process import EndlessError
from pipeline.imaging.attributes import UNKNOWN

PROVENANCE = ["source", "url", "post_id", "licence", "artist", "tags", "batch"]
REASONS = ["no_face", "no_eyes", *GATES]  # in the order of gates
PICTURES = ["excluded_pictures", "unreadable", "no_face", "with_faces"]  # what becomes of one
SHOWN = 20  # rejected examples of each reason on the sheet


@dataclass(frozen=True)
class FacesResult:
    """The kept faces, examples of the rejected, the unreadable files, and counts."""

    frame: pd.DataFrame
    rejected: pd.DataFrame  # id (of the picture), reason, image (RGB uint8), note; a sample
    unreadable: pd.DataFrame  # id, url, reason
    counts: dict[str, Any]


@dataclass
class _Findings:
    """What one chunk of pictures gave."""

    faces: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    unreadable: list[dict[str, Any]]
    counts: Counter[str]


def find_faces(
    batches: Iterable[pd.DataFrame], settings: Faces, align: Align, exclude: Exclude, workers: int
) -> FacesResult:
    """Detect, gate and align the faces of all pictures.

    The rows are the same for any number of workers and any order and size of batches.

    Args:
        batches: raw rows: ``id``, ``image`` (the file's bytes), ``md5`` and the columns of
            `PROVENANCE`.
        settings: what finds faces, and the gates they have to pass.
        align: the template.
        exclude: pictures and faces that are left out.
        workers: processes.

    Returns:
        Rows with ``id`` (sha256 of the face's pixels), ``image`` (PNG, RGB [S, S, 3]), the
        provenance, places and measures in pixels of the picture (``box_x`` … ``eye_distance``,
        ``tilt`` in degrees), ``sharpness``, ``border``, the attributes of `imaging.attributes` and
        the colours of hair, eyes and skin in CIE Lab.

    Raises:
        StageError: no face is left.
    """
    task = partial(_find_in_chunk, settings, align, exclude)
    seen = _noted(batches, exclude)
    results = parallel.over(task, seen, workers=workers, label="faces")
    counts = sum((found.counts for found in results), Counter())
    frame = pd.DataFrame([row for found in results for row in found.faces])
    excluded = exclude.exclusions().mask(frame)
    counts["excluded_faces"] = int(excluded.sum())
    frame = frame[~excluded]
    if frame.empty:
        raise StageError(
            f"no face is left of {counts['pictures']} pictures ({_funnel(counts)}): check what was "
            "crawled, or change faces.detect_size, faces.pad or the gates after it"
        )
    frame = frame.sort_values(["id", "url"], ignore_index=True)
    counts["kept"] = len(frame)
    rejected = _table(results, "rejected", "id", "reason", "image", "note")
    examples = rejected.sort_values("id", kind="stable", ignore_index=True)
    examples = examples.groupby("reason", sort=False).head(SHOWN)
    unreadable = _table(results, "unreadable", "id", "url", "reason").astype("str")
    unreadable = unreadable.sort_values(["id", "url"], ignore_index=True)
    faces = ["detected", "excluded_faces", *REASONS, "kept"]
    metrics = {
        **{name: counts[name] for name in ["pictures", *PICTURES, *faces]},
        "sources": frame["source"].value_counts().sort_index().to_dict(),
        "measured_hair": float((frame["hair_from"] == "measured").mean()),
        "enlarged": int(_enlarged(frame, align).sum()),
    }
    return FacesResult(frame, examples, unreadable, metrics)


def _noted(batches: Iterable[pd.DataFrame], exclude: Exclude) -> Iterator[pd.DataFrame]:
    """The batches; here, and not only in a worker, it is learned which names name a picture."""
    for batch in batches:
        exclude.exclusions().mask(batch)
        yield batch


def _table(findings: Iterable[_Findings], name: str, *columns: str) -> pd.DataFrame:
    rows = [row for found in findings for row in getattr(found, name)]
    return pd.DataFrame(rows, columns=list(columns))


def _enlarged(frame: pd.DataFrame, align: Align) -> pd.Series:
    """Which faces, or whole pictures, are smaller than what was made of them."""
    small = frame["eye_distance"] < align.eye_distance * align.size
    return small | (frame["eye_distance"].isna() & (frame["box_w"] < align.size))


def _funnel(counts: Counter[str]) -> str:
    lost = [*PICTURES[:-1], *REASONS[1:], "excluded_faces"]
    return ", ".join(f"{counts[name]} {name}" for name in lost if counts[name])


def _find_in_chunk(
    settings: Faces, align: Align, exclude: Exclude, batch: pd.DataFrame
) -> _Findings:
    excluded = exclude.exclusions().mask(batch)
    counts = Counter(pictures=len(batch), excluded_pictures=int(excluded.sum()))
    found = _Findings([], [], [], counts)
    # By id, so that the first examples of a reason are the same ones whatever the shards.
    for row in batch[~excluded].sort_values("id", kind="stable").to_dict("records"):
        try:
            rgb = images.read_picture(row["image"]["bytes"])
            seen = find(rgb, row, settings)
        except (images.UnreadableError, EndlessError) as error:
            found.counts["unreadable"] += 1
            found.unreadable.append({"id": row["id"], "url": row["url"], "reason": str(error)})
            continue
        _gate(seen, rgb, row, settings, align, found)
    return found


def _gate(
    seen: Found,
    rgb: np.ndarray,
    row: Mapping[Any, Any],
    settings: Faces,
    align: Align,
    found: _Findings,
) -> None:
    page_faces = len(seen.faces) + len(seen.no_eyes)
    found.counts["with_faces" if page_faces else "no_face"] += 1
    found.counts["detected"] += page_faces
    found.counts["no_eyes"] += len(seen.no_eyes)
    if not page_faces:
        _reject(found, row["id"], "no_face", rgb, row["source"])
    for place in seen.no_eyes:
        _reject(found, row["id"], "no_eyes", place.cut_from(rgb), place.look[0])
    for face in seen.faces:
        crop, border = _cut(rgb, face, align)
        if failed := failed_gate(face, crop, border, settings, align):
            reason, value = failed
            found.counts[reason] += 1
            _reject(found, row["id"], reason, crop, f"{value:.2f}")
            continue
        eyeless = np.isnan(face.eyes).any()
        mouth = UNKNOWN if eyeless else mouth_measured(crop, align.eye_distance)
        found.faces.append(
            {
                "id": images.pixel_id(crop),
                "image": {"bytes": tables.encode_png(crop), "path": None},
                "raw_id": row["id"],
                **{name: row[name] for name in PROVENANCE},
                **places(face),
                "likelihood": face.likelihood,
                "sharpness": sharpness(crop),
                "border": border,
                "page_faces": page_faces,
                **attributes(face, mouth, row["tags"] or "", page_faces),
                **colours(face),
            }
        )


def _cut(rgb: np.ndarray, face: Detection, align: Align) -> tuple[np.ndarray, float]:
    """The face on the template and its border; without eyes the picture's middle, as it stands."""
    if np.isnan(face.eyes).any():
        return images.central_square(rgb, align.size), 0.0
    return align_face(rgb, face.eyes, align)


def _reject(found: _Findings, raw_id: str, reason: str, rgb: np.ndarray, note: str) -> None:
    if sum(row["reason"] == reason for row in found.rejected) < SHOWN:
        scale = min(1.0, 128 / max(rgb.shape[:2]))
        size = [max(1, round(side * scale)) for side in rgb.shape[1::-1]]
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        note = f"{reason}\n{note}"
        found.rejected.append({"id": raw_id, "reason": reason, "image": small, "note": note})


def raw_batches(folder: Path) -> Iterator[pd.DataFrame]:
    """The raw shards a few dozen pictures at a time, so that memory does not grow with them."""
    columns = ["id", "image", "md5", *PROVENANCE]
    for shard in sorted(folder.glob("raw-*.parquet")):
        with tables.opened(shard) as file:
            for batch in file.iter_batches(batch_size=parallel.CHUNK, columns=columns):
                yield batch.to_pandas()

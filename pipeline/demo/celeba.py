"""The photo side of the demo: a CelebA folder in the official layout.

https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Liu et al. 2015)
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import tables
from pipeline.core import workers as parallel
from pipeline.demo.attributes import (
    CELEBA_ATTRIBUTES,
    FaceAttributes,
    celeba_labels,
    same_person,
    sample_faces,
)
from pipeline.demo.photo.picture import LANDMARKS, draw_photo

PHOTOS_PER_IDENTITY = 3
_COPY_EVERY = 150  # one photo in so many is another one, encoded again
_ZIP_TIME = (2015, 9, 28, 0, 0, 0)  # fixed, so that the same photos give the same zip


@dataclass(frozen=True)
class _Photo:
    face: FaceAttributes
    identity: int
    copy_of: int  # the number of the photo it repeats, 0 for none
    quality: int
    corrupt: bool


def build_celeba(out_dir: Path, *, photos: int, seed: int, workers: int) -> pd.DataFrame:
    """Draw `photos` portraits and write the zip and the four `list_*.txt` / `identity_*.txt`.

    Among them are a few re-encoded repeats and one JPEG that is cut short. Returns the truth, a
    row a photo: post_id (file name), identity, copy_kind ("original", "reencoded" or "broken"),
    of_post_id, left_eye_x ... right_eye_y (pixels) and all `FaceAttributes`. The same arguments
    give the same bytes for any `workers`.
    """
    plan = _plan(photos, seed)
    results = parallel.over_chunks(_draw_all, plan, 32, workers=workers, label="photos")
    names = [f"{i + 1:06d}.jpg" for i in range(photos)]
    out_dir.mkdir(parents=True, exist_ok=True)
    _write_zip(out_dir / "img_align_celeba.zip", names, [data for data, _ in results])
    labels = [celeba_labels(photo.face) for photo in plan]
    points = [landmarks for _, landmarks in results]
    attributes = [" ".join(f"{row[key]:2d}" for key in CELEBA_ATTRIBUTES) for row in labels]
    places = [" ".join(f"{round(row[key]):3d}" for key in LANDMARKS) for row in points]
    partition = [_partition(photo.identity) for photo in plan]
    headed = {
        "list_attr_celeba.txt": (CELEBA_ATTRIBUTES, attributes),
        "list_landmarks_align_celeba.txt": (LANDMARKS, places),
    }
    for file, (header, lines) in headed.items():
        rows = [f"{name} {line}" for name, line in zip(names, lines, strict=True)]
        _write_lines(out_dir / file, [str(photos), " ".join(header) + " ", *rows])
    for file, numbers in (
        ("identity_CelebA.txt", [photo.identity for photo in plan]),
        ("list_eval_partition.txt", partition),
    ):
        _write_lines(out_dir / file, [f"{n} {k}" for n, k in zip(names, numbers, strict=True)])
    return pd.DataFrame([_truth(*row) for row in zip(names, plan, points, strict=True)])


def _plan(photos: int, seed: int) -> list[_Photo]:
    rng = np.random.default_rng([seed, 0xCE1])
    people = sample_faces(-(-photos // PHOTOS_PER_IDENTITY), seed, "photos")
    moments = sample_faces(photos, seed + 1, "photos")
    plan: list[_Photo] = []
    corrupt = photos // 3
    for i in range(photos):
        quality = int(rng.integers(86, 96))
        if i % _COPY_EVERY == _COPY_EVERY // 2:
            k = int(rng.integers(i))
            k = k if plan[k].copy_of == 0 and not plan[k].corrupt else 0
            plan.append(_Photo(plan[k].face, plan[k].identity, k + 1, quality - 25, False))
            continue
        who = int(rng.integers(len(people)))
        face = same_person(people[who], moments[i])
        plan.append(_Photo(face, who + 1, 0, quality, i == corrupt and i > 0))
    return plan


def _draw_all(photos: Sequence[_Photo]) -> list[tuple[bytes, dict[str, float]]]:
    results = []
    for photo in photos:
        rgb, landmarks = draw_photo(photo.face)
        data = tables.encode_jpeg(rgb, photo.quality)
        results.append((data[: len(data) // 3] if photo.corrupt else data, landmarks))
    return results


def _partition(identity: int) -> int:
    """0 train, 1 val, 2 test: about 8 : 1 : 1, and a person is on one side only, as in CelebA."""
    return {8: 1, 9: 2}.get(identity % 10, 0)


def _write_zip(path: Path, names: list[str], files: list[bytes]) -> None:
    beside = path.with_name(path.name + ".part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        for name, data in zip(names, files, strict=True):
            archive.writestr(zipfile.ZipInfo(f"img_align_celeba/{name}", _ZIP_TIME), data)
    beside.replace(path)


def _write_lines(path: Path, lines: list[str]) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    beside.replace(path)


def _truth(name: str, photo: _Photo, points: dict[str, float]) -> dict[str, object]:
    kind = "broken" if photo.corrupt else "reencoded" if photo.copy_of else "original"
    return {
        "post_id": name,
        "identity": photo.identity,
        "copy_kind": kind,
        "of_post_id": f"{photo.copy_of:06d}.jpg" if photo.copy_of else "",
        "left_eye_x": points["lefteye_x"],
        "left_eye_y": points["lefteye_y"],
        "right_eye_x": points["righteye_x"],
        "right_eye_y": points["righteye_y"],
        **asdict(photo.face),
    }

"""The demo as a whole: same bytes for any worker count, official formats, a truth that is true."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.celeba import layout as celeba_layout
from pipeline.core.tables import decode
from pipeline.demo import build_demo
from pipeline.demo.attributes import CELEBA_ATTRIBUTES
from pipeline.demo.copies import COPY_KINDS

FACES, PHOTOS = 110, 90


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("demo")
    return out, build_demo(out, faces=FACES, photos=PHOTOS, seed=3, workers=1)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def files_of(out: Path) -> dict[tuple[str, str], tuple[int, bytes]]:
    """(source, post id) → (status, bytes) of every gallery file."""
    rows = pd.read_parquet(out / "gallery/pages.parquet").set_index("path")
    posts = json.loads((out / "gallery/posts.json").read_text())
    paths = {("booru", str(post["id"])): post["file_url"] for post in posts["booru"]}
    paths |= {("gallery", f"art-{post['id']}"): post["path"] for post in posts["gallery"]}
    return {key: (rows.status[path], rows.bytes[path]) for key, path in paths.items()}


def test_same_bytes_for_any_worker_count(tmp_path: Path) -> None:
    build_demo(tmp_path / "one", faces=40, photos=40, seed=5, workers=1)
    build_demo(tmp_path / "two", faces=40, photos=40, seed=5, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_every_drawn_face_is_on_exactly_one_original(demo: tuple[Path, dict[str, float]]) -> None:
    truth = pd.read_parquet(demo[0] / "truth.parquet")
    originals = truth[(truth.domain == "anime") & (truth.copy_kind == "original")]
    assert sorted(originals.character) == list(range(FACES))
    photos = truth[truth.domain == "photos"]
    assert list(photos.post_id) == [f"{i + 1:06d}.jpg" for i in range(PHOTOS)]


def test_counts_and_kinds_are_as_planned(demo: tuple[Path, dict[str, float]]) -> None:
    out, counts = demo
    posts = pd.read_parquet(out / "truth_posts.parquet")
    kinds = posts.copy_kind.value_counts()
    copies = kinds[list(COPY_KINDS)]
    readable = copies.sum() + kinds["original"]
    assert copies.sum() / readable == pytest.approx(0.12, abs=0.01)
    assert (kinds["broken"], kinds["truncated"], kinds["explicit"], kinds["missing"]) == (
        2,
        2,
        1,
        1,
    )
    assert counts["posts"] == len(posts) == len(files_of(out))
    assert {kind: counts[f"posts_{kind}"] for kind in kinds.index} == kinds.to_dict()
    faces = pd.read_parquet(out / "truth.parquet").query("domain == 'anime'")
    assert posts.faces.sum() == len(faces)


def test_copies_are_what_the_truth_says(demo: tuple[Path, dict[str, float]]) -> None:
    out, _ = demo
    files = files_of(out)
    for post in pd.read_parquet(out / "truth_posts.parquet").to_dict("records"):
        status, data = files[post["source"], post["post_id"]]
        assert status == (404 if post["copy_kind"] == "missing" else 200)
        if post["copy_kind"] in ("broken", "missing"):
            with pytest.raises(OSError):
                Image.open(io.BytesIO(data)).load()
            continue
        if post["copy_kind"] in ("original", "explicit"):
            assert decode(data).ndim == 3
            continue
        original = files[post["of_source"], post["of_post_id"]][1]
        if post["copy_kind"] == "exact":
            assert data == original and post["source"] == "gallery"
            continue
        assert data != original
        if post["copy_kind"] == "truncated":
            with pytest.raises(OSError):
                Image.open(io.BytesIO(data)).load()
            continue
        same_size = decode(data).shape == decode(original).shape
        assert same_size == (post["copy_kind"] not in ("resized", "cropped"))


def test_eyes_of_copies_lie_where_the_eyes_are(demo: tuple[Path, dict[str, float]]) -> None:
    """An eye's patch around its recorded place looks like the original's, mirrored or not."""
    out, _ = demo
    files = files_of(out)
    truth = pd.read_parquet(out / "truth.parquet").query("domain == 'anime'")
    rows = truth.to_dict("records")
    originals = {row["character"]: row for row in rows if row["copy_kind"] == "original"}
    checked = set()
    for row in rows:
        if row["copy_kind"] in ("original", "exact"):
            continue
        first = originals[row["character"]]
        patch = eye_patch(decode(files[row["source"], row["post_id"]][1]), row)
        reference = eye_patch(decode(files[first["source"], first["post_id"]][1]), first)
        reference = reference[:, ::-1] if row["mirrored"] else reference
        assert np.corrcoef(patch.ravel(), reference.ravel())[0, 1] > 0.9, row["copy_kind"]
        checked.add(row["copy_kind"])
    assert checked == set(COPY_KINDS) - {"exact"}


def eye_patch(rgb: np.ndarray, face: Mapping[Any, Any]) -> np.ndarray:
    """Grey [24, 48] strip between the recorded eyes, a fixed multiple of their distance wide."""
    left = np.array([face["left_eye_x"], face["left_eye_y"]])
    right = np.array([face["right_eye_x"], face["right_eye_y"]])
    along = (right - left) / 2
    across = np.array([-along[1], along[0]])
    corner = (left + right) / 2 - 1.8 * along - 0.9 * across
    (a, d), (b, e) = (3.6 * along / 48).tolist(), (1.8 * across / 24).tolist()
    size, way = (48, 24), Image.Transform.AFFINE
    coefficients = (a, b, corner[0] + 0.5, d, e, corner[1] + 0.5)
    strip = Image.fromarray(rgb).convert("L")
    return np.asarray(strip.transform(size, way, coefficients, Image.Resampling.BILINEAR), float)


def test_celeba_folder_reads_as_the_official_one(demo: tuple[Path, dict[str, float]]) -> None:
    folder = demo[0] / "celeba"
    lines = (folder / "list_attr_celeba.txt").read_text().splitlines()
    assert lines[0] == str(PHOTOS)
    assert tuple(lines[1].split()) == CELEBA_ATTRIBUTES and len(CELEBA_ATTRIBUTES) == 40
    assert all(set(line.split()[1:]) == {"1", "-1"} for line in lines[2:])
    rows = celeba_layout.read_labels(folder)
    truth = pd.read_parquet(demo[0] / "truth.parquet").query("domain == 'photos'")
    truth = truth.set_index("post_id").loc[rows.index]
    assert list(rows["Male"]) == list(truth.gender == "male")
    assert list(rows["Smiling"]) == list(truth.smile >= 0.5)
    assert list(rows["identity"]) == list(truth.identity)
    eyes = celeba_layout.read_landmarks(folder, "aligned", rows.index)[:, :2]
    assert np.abs(eyes[:, 0, 0] - truth.left_eye_x).max() <= 0.5
    assert np.abs(eyes - celeba_layout.TEMPLATE_EYES).max() < 5
    assert rows.groupby("identity")["partition"].nunique().max() == 1
    assert 0.55 < (~rows["Male"]).mean() < 0.95


def test_celeba_images_are_official_size_and_one_is_broken(
    demo: tuple[Path, dict[str, float]],
) -> None:
    truth = pd.read_parquet(demo[0] / "truth.parquet").set_index("post_id")
    broken = []
    with zipfile.ZipFile(demo[0] / "celeba/img_align_celeba.zip") as archive:
        assert len(archive.namelist()) == PHOTOS
        for name in archive.namelist():
            try:
                image = Image.open(io.BytesIO(archive.read(name)))
                image.load()
                assert image.size == celeba_layout.SIZE
            except OSError:
                broken.append(name.removeprefix("img_align_celeba/"))
    assert broken == list(truth.index[(truth.domain == "photos") & (truth.copy_kind == "broken")])
    assert len(broken) == 1


def test_zero_switches_a_half_off(tmp_path: Path) -> None:
    assert build_demo(tmp_path, faces=0, photos=0, seed=1, workers=1) == {}
    assert sorted(digests(tmp_path)) == ["celeba/README", "gallery/README"]
    assert (tmp_path / "gallery/README").read_text().count("\n") == 1

"""``celeba.eyes: mesh``: eyes by public weights, in every kind of photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest

from models.errors import ModelError
from pipeline.celeba import __main__ as celeba
from pipeline.celeba.mesh_eyes import MeshEyes
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.imaging import photo_faces
from pipeline.imaging.align import template_eyes
from tests.pipeline.celeba.test_celeba import ALIGN, NOTHING, settings, write_celeba
from tests.pipeline.celeba.test_layout import SHARED, real_wild
from tests.pipeline.imaging.test_photo_faces import EYES, portrait

FULL = Align(size=128, eye_distance=0.26, eye_line=0.5, max_border=1.0)
UNKNOWN_PLACE = np.full((1, 2), np.nan)


@pytest.fixture(scope="module")
def eyes() -> MeshEyes:
    try:
        return MeshEyes(*photo_faces.weights())
    except ModelError as error:
        pytest.skip(str(error))


def test_of_several_faces_the_one_whose_place_is_known(eyes: MeshEyes) -> None:
    rgb = portrait("grace_hopper")
    page = np.full((700, 1400, 3), 90, np.uint8)
    page[50:650, 50:562] = rgb
    page[300:600, 1000:1256] = cv2.resize(rgb, (256, 300), interpolation=cv2.INTER_AREA)
    small = eyes.landmarks(page, np.array([(1130.0, 400.0)]))
    big = eyes.landmarks(page, UNKNOWN_PLACE)
    assert small is not None and big is not None
    np.testing.assert_allclose(big[:2], EYES["grace_hopper"] + (50, 50), atol=5)
    np.testing.assert_allclose(small[:2], EYES["grace_hopper"] / 2 + (1000, 300), atol=4)
    assert eyes.landmarks(np.zeros((90, 90, 3), np.uint8), UNKNOWN_PLACE) is None


def test_a_folder_of_photos_is_aligned_on_the_eyes(eyes: MeshEyes, tmp_path: Path) -> None:
    path = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    (tmp_path / "portrait.jpg").write_bytes(path.read_bytes())
    wall = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    (tmp_path / "wall.png").write_bytes(tables.encode_png(wall))
    asked = settings(tmp_path, images="folder", eyes="mesh", keep={})
    photos = celeba.align_photos(asked, FULL, NOTHING, workers=1)
    assert (photos.counts["kept"], photos.counts["no_face"]) == (1, 1)
    (row,) = photos.frame.to_dict("records")
    assert row["file"] == "portrait.jpg" and row["yaw"] == "front"
    seen = eyes.landmarks(tables.decode(row["image"]["bytes"]), UNKNOWN_PLACE)
    assert seen is not None
    np.testing.assert_allclose(seen[:2], template_eyes(FULL), atol=2)


def test_without_the_weights_a_line_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1.png").write_bytes(tables.encode_png(np.zeros((9, 9, 3), np.uint8)))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    asked = settings(tmp_path, images="folder", eyes="mesh", keep={})
    with pytest.raises(ModelError, match="face2anime doctor --fetch"):
        celeba.align_photos(asked, ALIGN, NOTHING, workers=1)


def test_it_agrees_with_the_annotation_of_real_wild_photos(eyes: MeshEyes) -> None:
    away = []
    for rgb, points in real_wild(60):
        seen = eyes.landmarks(rgb, UNKNOWN_PLACE)
        if seen is not None:
            distance = np.linalg.norm(points[1] - points[0])
            away.append(np.linalg.norm(seen[:2] - points[:2], axis=1).mean() / distance)
    assert len(away) >= 54 and np.median(away) < 0.08  # YuNet: .1


def test_real_aligned_photos(eyes: MeshEyes) -> None:
    real = SHARED / "celeba"
    if not real.is_dir():
        pytest.skip(f"no real CelebA at {real}")
    asked = settings(real, eyes="mesh", limit=40)
    by_mesh = celeba.align_photos(asked, ALIGN, NOTHING, workers=1)
    assert by_mesh.counts["kept"] >= 38
    assert set(by_mesh.frame["yaw"]) <= {"front", "turned", "profile"}
    by_place = celeba.align_photos(settings(real, eyes="template", limit=40), ALIGN, NOTHING, 1)
    both = pd.merge(by_mesh.frame, by_place.frame, on="file")
    differences = [
        np.abs(tables.decode(a["bytes"]).astype(int) - tables.decode(b["bytes"])).mean()
        for a, b in zip(both["image_x"], both["image_y"], strict=True)
    ]
    assert 0 < np.median(differences) < 20  # moved a little, the same faces


def test_further_photos_come_in_unlabelled_and_leave_the_first_shards_alone(
    eyes: MeshEyes, tmp_path: Path
) -> None:
    folder = write_celeba(tmp_path / "celeba")
    path = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    (folder / "more").mkdir()
    (folder / "more" / "portrait.jpg").write_bytes(path.read_bytes())
    one = celeba.align_photos(settings(folder), FULL, NOTHING, workers=1)
    both = celeba.align_photos(settings(folder, also="more"), FULL, NOTHING, workers=1)
    assert both.counts["also"]["kept"] == 1 and both.counts["photos"] == len(one.frame) + 1
    (row,) = both.frame[both.frame["file"] == "portrait.jpg"].to_dict("records")
    assert row["Male"] is None and row["hair"] == "unknown" and row["identity"] == "portrait.jpg"
    for name, frame in (("one", one.frame), ("both", both.frame)):
        (tmp_path / name).mkdir()
        tables.write_frame(tmp_path / name, "photos", frame, by=["batch"])
    assert tables.read_frame(tmp_path / "both")["Male"].isna().sum() == 1
    shards = {p.name for p in (tmp_path / "both").iterdir()}
    assert shards == {"photos-00000.parquet", "photos-00001.parquet"}


def test_further_photos_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = write_celeba(tmp_path / "celeba")
    with pytest.raises(StageError, match=r"more\.zip is missing"):
        celeba.align_photos(settings(folder, also="more.zip"), FULL, NOTHING, workers=1)

"""The layouts in which copies of CelebA come: Kaggle's, nested zips, in the wild, downloads."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torchvision.datasets

from pipeline.celeba import __main__ as celeba
from pipeline.celeba import download as celeba_download
from pipeline.celeba import layout as celeba_layout
from pipeline.celeba.download import FILES
from pipeline.celeba.layout import ATTRIBUTES, IDENTITY, PARTITION
from pipeline.celeba.yunet import Yunet
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.demo.attributes import CELEBA_ATTRIBUTES
from pipeline.imaging import images
from pipeline.imaging.align import align_face, template_eyes
from tests.crawl.misbehaving import Fault, Server, Site, body, status
from tests.pipeline.celeba.test_celeba import ALIGN, LANDMARKS, NOTHING, settings, write_celeba
from tests.pipeline.conftest import write_params

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
WILD = SHARED / "celeba_wild"
MODEL = SHARED / "detectors" / "yunet_n_640_640.onnx"
FULL = Align(size=128, eye_distance=0.26, eye_line=0.5, max_border=1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


def kaggle(folder: Path) -> None:
    """The folder as Kaggle's mirror has it: CSV, images one folder deeper, no identities."""
    for file, header in ((ATTRIBUTES, True), (LANDMARKS, True), (PARTITION, False)):
        lines = (folder / file).read_text().splitlines()
        rows = [line.split() for line in lines[2 if header else 0 :]]
        names = lines[1].split() if header else ["partition"]
        table = pd.DataFrame(rows, columns=["image_id", *names])
        table.to_csv(folder / file.replace(".txt", ".csv"), index=False)
        (folder / file).unlink()
    (folder / IDENTITY).unlink()
    inner = folder / "inner"
    (folder / "img_align_celeba").rename(inner)
    (folder / "img_align_celeba").mkdir()
    inner.rename(folder / "img_align_celeba" / "img_align_celeba")


def test_kaggles_copy_gives_the_same_photos(folder: Path) -> None:
    official = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    kaggle(folder)
    mirror = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    pd.testing.assert_frame_equal(
        mirror.frame.drop(columns="identity"), official.frame.drop(columns="identity")
    )
    assert mirror.frame["identity"].is_unique and mirror.frame["identity"].lt(0).all()
    assert mirror.counts["identity_unknown"] == 7 and official.counts["identity_unknown"] == 0


def test_a_damaged_csv_is_told(folder: Path) -> None:
    kaggle(folder)
    table = folder / "list_attr_celeba.csv"
    table.write_text(table.read_text().replace(",-1", ",maybe", 1))
    with pytest.raises(StageError, match="list_attr_celeba.csv is malformed .*'maybe'") as error:
        celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("inside", ["", "img_align_celeba/", "CelebA/img_align_celeba/img/"])
def test_whatever_folders_a_zip_nests_its_images_in(folder: Path, inside: str) -> None:
    unpacked = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for file in sorted((folder / "img_align_celeba").iterdir()):
            archive.write(file, f"{inside}{file.name}")
            archive.writestr(f"__MACOSX/{inside}._{file.name}", b"not an image")
    shutil.rmtree(folder / "img_align_celeba")
    zipped = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    pd.testing.assert_frame_equal(zipped.frame, unpacked.frame)
    assert zipped.counts == unpacked.counts | {"no_pictures": 12}  # those of macOS
    assert not list(folder.glob("img_align_celeba/"))


def wild(folder: Path, boxes: bool) -> np.ndarray:
    """Turn the folder's photos into wild ones: larger, the face elsewhere; returns the eyes."""
    (folder / "img_celeba").mkdir()
    rows, box_rows, eyes = [], [], {}
    for place in sorted((folder / "img_align_celeba").iterdir()):
        rgb = cv2.imdecode(np.frombuffer(place.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if rgb is None:
            continue
        page = np.full((500, 700, 3), 60, np.uint8)
        page[150:368, 400:578] = rgb
        cv2.imwrite(str(folder / "img_celeba" / place.name), page)
        points = celeba_layout.TEMPLATE_EYES.round() + (400, 150)
        eyes[place.name] = points
        rest = "489 285 472 302 505 302"
        rows.append(f"{place.name} {' '.join(str(int(v)) for v in points.ravel())} {rest}")
        box_rows.append(f"{place.name} 400 150 178 218")
    header = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y"
    header += " leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    lines = [str(len(rows)), header, *rows]
    (folder / "list_landmarks_celeba.txt").write_text("\n".join(lines))
    if boxes:
        lines = [str(len(rows)), "image_id x_1 y_1 width height", *box_rows]
        (folder / "list_bbox_celeba.txt").write_text("\n".join(lines))
    shutil.rmtree(folder / "img_align_celeba")
    lines = (folder / ATTRIBUTES).read_text().splitlines()[2:]
    keep = [line for line in lines if line.split()[0] in eyes]
    text = [str(len(keep)), " ".join(CELEBA_ATTRIBUTES), *keep]
    (folder / ATTRIBUTES).write_text("\n".join(text))
    return np.array(list(eyes.values()))


@pytest.mark.parametrize("boxes", [False, True])
def test_wild_images_align_by_their_own_landmarks(folder: Path, boxes: bool) -> None:
    aligned = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1).frame
    wild(folder, boxes)
    photos = celeba.align_photos(settings(folder, images="wild"), ALIGN, NOTHING, workers=1)
    assert photos.counts["kept"] == 7
    pairs = zip(
        aligned.sort_values("file")["image"],
        photos.frame.sort_values("file")["image"],
        strict=True,
    )
    inner = slice(8, 24)  # away from the border, which is mirrored in one and grey in the other
    for one, other in pairs:
        difference = tables.decode(one["bytes"]).astype(int) - tables.decode(other["bytes"])
        assert np.abs(difference[inner, inner]).mean() < 6
    centres = celeba_layout.read_centres(folder, pd.Index(aligned["file"]))
    assert (centres == (489, 259)).all() if boxes else np.isnan(centres).all()


def test_the_template_is_refused_for_wild_images(folder: Path) -> None:
    wild(folder, False)
    asked = settings(folder, images="wild", eyes="template")
    with pytest.raises(StageError, match="template holds for aligned images only"):
        celeba.align_photos(asked, ALIGN, NOTHING, workers=1)


@pytest.fixture
def drive(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Site, Path]]:
    """A drive with the folder's files, and an empty place that they are asked into."""
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for file in (folder / "img_align_celeba").iterdir():
            archive.write(file, f"img_align_celeba/{file.name}")
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    listed = [(f"{name}-id", hashlib.md5(data).hexdigest(), name) for name, data in files.items()]
    monkeypatch.setattr(torchvision.datasets.CelebA, "file_list", listed)
    monkeypatch.chdir(tmp_path)
    write_params({"web": {"allow_private_hosts": ["127.0.0.1"], "retries": 0}})
    site = Site({f"/{name}-id": body(data) for name, data in files.items()})
    with Server(site) as server:
        monkeypatch.setattr(celeba_download, "DRIVE", f"http://127.0.0.1:{server.address[1]}/")
        yield site, tmp_path / "fresh"


def test_a_download_is_read_and_goes_on_where_it_was(drive: tuple[Site, Path]) -> None:
    site, target = drive
    whole = site.faults.pop(f"/{PARTITION}-id")
    with pytest.raises(StageError, match="HTTP 404"):
        celeba.align_photos(settings(target, download=True), ALIGN, NOTHING, workers=1)
    site.faults[f"/{PARTITION}-id"] = whole
    for _ in range(2):
        photos = celeba.align_photos(settings(target, download=True), ALIGN, NOTHING, workers=1)
        assert photos.counts["kept"] == 7
    asked = Counter(seen.path.removesuffix("-id").removeprefix("/") for seen in site.seen)
    assert asked == dict.fromkeys(asked, 1) | {PARTITION: 2}


@pytest.mark.parametrize(
    ("fault", "words"),
    [(body(b"<html>Too many users"), "another md5"), (status(403), "HTTP 403")],
)
def test_google_drives_refusal_says_how_to_place_the_files(
    drive: tuple[Site, Path], fault: Fault, words: str
) -> None:
    site, target = drive
    site.faults = dict.fromkeys(site.faults, fault)
    with pytest.raises(StageError, match=words) as told:
        celeba.align_photos(settings(target, download=True), ALIGN, NOTHING, workers=1)
    message = str(told.value)
    assert "\n" not in message and len(message) < 600
    for word in ("img_align_celeba.zip", ATTRIBUTES, IDENTITY, PARTITION, "download: false"):
        assert word in message
    assert str(target) in message and "mmlab" in message
    assert not list(target.rglob("*.*"))


def test_without_a_contact_the_drive_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params({})
    with pytest.raises(StageError, match="web.contact is empty and drive.usercontent.google.com"):
        celeba.align_photos(settings(tmp_path / "new", download=True), ALIGN, NOTHING, workers=1)


@pytest.mark.parametrize("place", ["celeba/yunet.onnx", "yunet.onnx"])
def test_a_model_is_looked_for_beside_the_images_and_then_from_the_root(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yunet.onnx").write_bytes(b"no model")
    (tmp_path / place).write_bytes(b"no model")
    asked = settings(folder, eyes="yunet.onnx")
    with pytest.raises(StageError, match=f"celeba.eyes: \\S*{place} is no YuNet model"):
        celeba.align_photos(asked, ALIGN, NOTHING, workers=1)


def real_wild(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(RGB, five annotated points) of the first ``count`` real wild photos."""
    if not WILD.is_dir():
        pytest.skip(f"no wild photos at {WILD}")
    found = celeba_layout.find_images(WILD, "wild")
    files = pd.Index(sorted(found.members)[:count])
    points = celeba_layout.read_landmarks(WILD, "wild", files)
    data = [images.read_rgb(file) for _, file, _ in found.read(list(files))]
    return list(zip(data, points, strict=True))


def test_eyes_of_real_wild_photos_land_on_the_template() -> None:
    """Marks painted on the annotated eyes are found again in the aligned pixels."""
    errors = []
    for rgb, points in real_wild(100):
        for number, eye in enumerate(points[:2]):
            y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
            radius = 0.08 * np.linalg.norm(points[1] - points[0])
            mark = np.exp(-((x - eye[0]) ** 2 + (y - eye[1]) ** 2) / (2 * radius**2))
            layer = np.repeat((250 * mark).astype(np.uint8)[..., None], 3, axis=2)
            face, _ = align_face(layer, points[:2], FULL)
            weight = np.where(face[..., 0] > 60, face[..., 0], 0).astype(float)
            rows, columns = np.mgrid[:128, :128]
            seen = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
            errors.append(np.linalg.norm(seen - template_eyes(FULL)[number]))
    assert len(errors) == 200 and max(errors) < 1  # pixels


def test_yunet_agrees_with_the_annotation_of_real_wild_photos() -> None:
    photos = real_wild(60)
    yunet = Yunet(MODEL)
    away = []
    for rgb, points in photos:
        seen = yunet.landmarks(rgb, np.full((1, 2), np.nan))
        assert seen is not None and seen[0, 0] < seen[1, 0] and seen[3, 0] < seen[4, 0]
        distance = np.linalg.norm(points[1] - points[0])
        away.append(np.linalg.norm(seen[:2] - points[:2], axis=1).mean() / distance)
    assert np.median(away) < 0.1  # of the eyes' distance: the annotation is no closer itself


def test_real_aligned_photos_by_yunet(tmp_path: Path) -> None:
    real = SHARED / "celeba"
    if not real.is_dir():
        pytest.skip(f"no real CelebA at {real}")
    by_model = celeba.align_photos(
        settings(real, eyes=str(MODEL), limit=40), ALIGN, NOTHING, workers=1
    )
    assert by_model.counts["kept"] >= 38
    assert set(by_model.frame["yaw"]) <= {"front", "turned", "profile"}

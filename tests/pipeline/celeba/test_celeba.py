"""The stage: filter, alignment, sizes, and every way a copy of CelebA can be wrong."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.celeba import __main__ as celeba
from pipeline.celeba.layout import ATTRIBUTES, IDENTITY, PARTITION, TEMPLATE_EYES
from pipeline.celeba.rules import warnings
from pipeline.core import tables, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Celeba, Exclude
from pipeline.demo.attributes import CELEBA_ATTRIBUTES
from pipeline.imaging.align import template_eyes

ALIGN = Align(size=32, eye_distance=0.26, eye_line=0.5, max_border=0.2)
NOTHING = Exclude()
REAL = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "celeba"
LANDMARKS = "list_landmarks_align_celeba.txt"
COUNT = 12  # images, every third one of a man, two of each person
BROKEN = "000005.jpg"  # a woman


def settings(path: Path, **changes) -> Celeba:
    return Celeba(**{"path": path, "eyes": "landmarks", "keep": {"Male": False}} | changes)


def name(number: int) -> str:
    return f"{number:06d}.jpg"


def photo(number: int, size: tuple[int, int] = (178, 218)) -> np.ndarray:
    """Noise with a red spot on each of the template's eyes."""
    rng = np.random.default_rng(number)
    image = cv2.resize(rng.integers(100, 256, (9, 7, 3), np.uint8), size)
    scale = np.array(size) / (178, 218)
    for eye in TEMPLATE_EYES:
        spot = ((eye + 0.5) * scale - 0.5).round().astype(int).tolist()
        cv2.circle(image, spot, round(6 * scale[0]), (255, 0, 0), -1, cv2.LINE_AA)
    return image


def write_celeba(folder: Path, size: tuple[int, int] = (178, 218)) -> Path:
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    rows, points = [], []
    for number in range(1, COUNT + 1):
        (images / name(number)).write_bytes(tables.encode_jpeg(photo(number, size)))
        true = {"Male": number % 3 == 0, "Brown_Hair": number % 2 == 0, "Smiling": number > 6}
        labels = [1 if true.get(label) else -1 for label in CELEBA_ATTRIBUTES]
        rows.append(" ".join([name(number), *(f"{label:2d}" for label in labels)]))
        eyes = TEMPLATE_EYES.round().astype(int).ravel().tolist()
        points.append(" ".join(map(str, [name(number), *eyes, 89, 135, 72, 152, 105, 152])))
    (images / BROKEN).write_bytes((images / BROKEN).read_bytes()[:900])
    (folder / ATTRIBUTES).write_text("\n".join([str(COUNT), " ".join(CELEBA_ATTRIBUTES), *rows]))
    header = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y "
    header += "leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    (folder / LANDMARKS).write_text("\n".join([str(COUNT), header, *points]))
    numbers = range(1, COUNT + 1)
    (folder / IDENTITY).write_text("\n".join(f"{name(n)} {(n + 1) // 2}" for n in numbers))
    (folder / PARTITION).write_text("\n".join(f"{name(n)} {n % 3}" for n in numbers))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


def zip_images(folder: Path) -> None:
    images = folder / "img_align_celeba"
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for file in sorted(images.iterdir()):
            archive.write(file, f"img_align_celeba/{file.name}")
    shutil.rmtree(images)


def test_filter_alignment_labels_and_counts(folder: Path) -> None:
    photos = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    assert photos.counts == {
        "listed": 12,
        "present": 12,
        "after_Male_no": 8,
        "excluded": 0,
        "corrupt": 1,
        "no_face": 0,
        "too_much_border": 0,
        "exact_duplicates": 0,
        "kept": 7,
        "enlarged": 0,
        "male_share": 0.0,
        "identity_unknown": 0,
        "images_missing": 0,
        "images_unlisted": 0,
    }
    assert photos.corrupt["file"].tolist() == [BROKEN]
    rows = photos.frame.set_index("file")
    assert sorted(rows.index) == [name(n) for n in (1, 2, 4, 7, 8, 10, 11)]
    assert rows["gender"].eq("female").all() and not rows["Male"].any()
    assert rows.loc[name(8), ["hair", "smile", "glasses", "eyes"]].tolist() == [
        "brown",
        "yes",
        "no",
        "unknown",
    ]
    assert rows["open_mouth"].eq("no").all() and rows["yaw"].eq("front").all()
    assert rows.loc[name(7), "identity"] == 4 and rows.loc[name(8), "partition"] == 2
    face = tables.decode(rows.loc[name(2), "image"]["bytes"])
    red = (face[..., 0] > 180) & (face[..., 1] < 80)
    for half, eye in zip((slice(0, 16), slice(16, 32)), template_eyes(ALIGN), strict=True):
        y, x = np.nonzero(red[:, half])
        np.testing.assert_allclose([x.mean() + half.start, y.mean()], eye, atol=0.6)


def test_zip_and_worker_count_change_nothing(folder: Path) -> None:
    unpacked = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    zip_images(folder)
    zipped = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=2)
    pd.testing.assert_frame_equal(unpacked.frame, zipped.frame)


def test_half_size_copy_aligns_to_the_same_place(folder: Path, tmp_path: Path) -> None:
    half = write_celeba(tmp_path / "half", size=(89, 109))
    (half / LANDMARKS).unlink()
    small = celeba.align_photos(settings(half, eyes="template"), ALIGN, NOTHING, workers=1)
    full = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    for image, other in zip(
        small.frame.sort_values("file")["image"],
        full.frame.sort_values("file")["image"],
        strict=True,
    ):
        difference = tables.decode(image["bytes"]).astype(int) - tables.decode(other["bytes"])
        assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("limit", [0, 4])
def test_excluded_photos_go_and_no_other_comes_in(folder: Path, limit: int) -> None:
    asked = settings(folder, limit=limit)
    before = celeba.align_photos(asked, ALIGN, NOTHING, workers=1)
    first, second = before.frame["file"].iloc[0], before.frame["id"].iloc[1]
    exclude = Exclude(images=[first, second])
    after = celeba.align_photos(asked, ALIGN, exclude, workers=1)
    pd.testing.assert_frame_equal(after.frame, before.frame[2:].reset_index(drop=True))
    assert after.counts["excluded"] == 2 and after.counts["kept"] == before.counts["kept"] - 2


def test_missing_and_unlisted_images_are_counted_and_told(folder: Path) -> None:
    images = folder / "img_align_celeba"
    (images / name(7)).rename(images / "stranger.jpg")
    asked = settings(folder)
    counts = celeba.align_photos(asked, ALIGN, NOTHING, workers=1).counts
    assert (counts["listed"], counts["present"]) == (12, 11)
    assert counts["images_missing"] == 1 == counts["images_unlisted"]
    lines = warnings(counts, asked, ALIGN)
    assert lines[0].startswith("1 of 12 listed images are not in") and "no row" in lines[1]
    assert len(lines) == 2


@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_every_size_from_the_same_code_and_enlarging_is_counted(folder: Path, size: int) -> None:
    align = ALIGN.model_copy(update={"size": size})
    photos = celeba.align_photos(settings(folder), align, NOTHING, workers=1)
    faces = [tables.decode(image["bytes"]) for image in photos.frame["image"]]
    for face in faces:
        assert face.shape == (size, size, 3)
        red = (face[..., 0] > 180) & (face[..., 1] < 80)
        half = size // 2
        for part, eye in zip((0, half), template_eyes(align), strict=True):
            y, x = np.nonzero(red[:, part : part + half])
            np.testing.assert_allclose([x.mean() + part, y.mean()], eye, atol=0.02 * size)
    # The eyes of 178×218 are 39 pixels apart: the template's are 33 at 128 pixels, 67 at 256.
    assert photos.counts["enlarged"] == (len(faces) if size == 256 else 0)
    lines = warnings(photos.counts, settings(folder), align)
    assert [line for line in lines if "enlarged to align.size 256" in line] == lines
    assert len(lines) == (size == 256)


def test_linked_photos_are_read_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    """As DVC's cache has them with `cache.type symlink`."""
    before = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    images = folder / "img_align_celeba"
    images.rename(tmp_path / "elsewhere")
    images.mkdir()
    for file in (tmp_path / "elsewhere").iterdir():
        (images / file.name).symlink_to(file)
    after = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1)
    pd.testing.assert_frame_equal(after.frame, before.frame)


def test_exact_duplicates_are_dropped_and_counted(folder: Path) -> None:
    images = folder / "img_align_celeba"
    shutil.copy(images / name(1), images / name(2))
    counts = celeba.align_photos(settings(folder), ALIGN, NOTHING, workers=1).counts
    assert counts["exact_duplicates"] == 1 and counts["kept"] == 6


def remove(file: str):
    return lambda folder: (folder / file).unlink()


def rewrite(file: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def no_zip(folder: Path) -> None:
    shutil.rmtree(folder / "img_align_celeba")
    (folder / "img_align_celeba.zip").write_bytes(b"PK not really")


def no_images(folder: Path) -> None:
    for file in (folder / "img_align_celeba").iterdir():
        file.unlink()


def all_broken(folder: Path) -> None:
    for file in (folder / "img_align_celeba").iterdir():
        file.write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("spoil", "changes", "words"),
    [
        (lambda folder: shutil.rmtree(folder), {}, ["is missing", "mmlab", "celeba.path"]),
        (remove(ATTRIBUTES), {}, [ATTRIBUTES, "is missing"]),
        (remove(LANDMARKS), {}, [LANDMARKS, "is missing", "celeba.eyes: mesh"]),
        (rewrite(ATTRIBUTES, "12\n", "twelve\n"), {}, [ATTRIBUTES, "malformed", "twelve"]),
        (rewrite(ATTRIBUTES, "12\n", "13\n"), {}, ["announces 13 images, has 12 rows"]),
        (rewrite(ATTRIBUTES, " Young", ""), {}, [ATTRIBUTES, "malformed"]),
        (rewrite(ATTRIBUTES, " -1", " 7"), {}, [ATTRIBUTES, "neither 1 nor -1"]),
        (rewrite(IDENTITY, "000004.jpg 2\n", ""), {}, [IDENTITY, "lacks 1 of the 12", "000004"]),
        (rewrite(PARTITION, " 1\n", " x\n"), {}, [PARTITION, "malformed"]),
        (no_images, {}, ["none of the 12 images", "first 000001.jpg"]),
        (no_zip, {}, ["img_align_celeba.zip", "no whole zip"]),
        (all_broken, {}, ["none of 8", "8 unreadable"]),
        (lambda folder: None, {"keep": {"male": False}}, ["'male'", "did you mean 'Male'"]),
        (lambda folder: None, {"keep": {"Bald": True}}, ["no image is left"]),
        (lambda folder: None, {"drop": {"Blury": True}}, ["celeba.drop", "mean 'Blurry'"]),
        (lambda folder: None, {"male_fraction": 0.2}, ["leave no men", "celeba.keep"]),
        (
            lambda folder: None,
            {"eyes": "no.onnx"},
            ["no.onnx does not exist", "celeba/no.onnx, then no.onnx", "YuNet"],
        ),
    ],
)
def test_a_wrong_copy_ends_in_one_clear_line(folder: Path, spoil, changes, words) -> None:
    spoil(folder)
    with pytest.raises(StageError) as error:
        celeba.align_photos(settings(folder, **changes), ALIGN, NOTHING, workers=1)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    assert [word for word in words if word not in message] == []


def test_main_writes_table_list_and_sheet(folder, tmp_path, monkeypatch, fake_run, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    content = {
        "compute": {"workers": 1},
        "align": ALIGN.model_dump(),
        "exclude": {},
        "celeba": settings(folder).model_dump(mode="json"),
    }
    Path("params.yaml").write_text(yaml_files.dumps(content))
    celeba.main()
    said = capsys.readouterr().out
    assert "celeba: listed 12 → present 12 → after_Male_no 8 → kept 7\n" in said
    assert len(pd.read_parquet(celeba.OUT)) == 7 == fake_run.logged["kept"]
    assert pd.read_parquet(celeba.DROPPED / "photos.parquet")["file"].tolist() == [BROKEN]
    assert (celeba.SHEET / "kept.png").is_file() and celeba.METRICS.is_file()


def test_real_celeba() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real CelebA at {REAL}")
    wanted = settings(REAL, eyes="template", limit=60)
    photos = celeba.align_photos(wanted, ALIGN, NOTHING, workers=1)
    assert photos.counts["listed"] == 10000 and photos.counts["after_Male_no"] == 5783
    assert photos.counts["kept"] == 60
    faces = np.stack([tables.decode(image["bytes"]) for image in photos.frame["image"]])
    # On the template the mean face is dark at the eyes and bright on the cheeks below them.
    mean = faces.mean(axis=(0, 3))
    for x, y in template_eyes(ALIGN).round().astype(int):
        assert mean[y, x] < mean[y + 4, x] - 10

"""CelebA as it is found in the wild: one reader knows a table by what is in it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.celeba import __main__ as celeba
from pipeline.celeba import layout, table
from pipeline.celeba.layout import ATTRIBUTES, IDENTITY, PARTITION
from pipeline.core.errors import StageError
from pipeline.demo.attributes import CELEBA_ATTRIBUTES
from tests.crawl.archives.test_archives import DAMAGES, damage
from tests.pipeline.celeba.test_celeba import ALIGN, LANDMARKS, NOTHING, settings, write_celeba

TABLES = (ATTRIBUTES, LANDMARKS, IDENTITY, PARTITION)
Change = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


def photos(folder: Path, **changes) -> celeba.Photos:
    return celeba.align_photos(settings(folder, **changes), ALIGN, NOTHING, workers=1)


def without_count(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest if first.strip().isdigit() else text


def commas(text: str) -> str:
    return "\n".join(",".join(line.split()) for line in text.splitlines())


def in_folders(text: str) -> str:
    return text.replace("0000", "img_align_celeba/0000")


FORMS: dict[str, tuple[Change, str, str]] = {  # change, encoding, ending
    "as published": (str, "utf-8", ".txt"),
    "renamed": (str, "utf-8", ".csv"),
    "without the count": (without_count, "utf-8", ".txt"),
    "renamed, without the count": (without_count, "utf-8", ".csv"),
    "commas, with the count": (commas, "utf-8", ".txt"),
    "commas, without the count": (lambda text: commas(without_count(text)), "utf-8", ".csv"),
    "a byte order mark": (str, "utf-8-sig", ".txt"),
    "UTF-16": (str, "utf-16", ".txt"),
    "CRLF": (lambda text: text.replace("\n", "\r\n"), "utf-8", ".txt"),
    "empty lines": (lambda text: f"\n{text}\n\n \n", "utf-8", ".txt"),
    "names with folders": (in_folders, "utf-8", ".txt"),
    "names with backslashes": (
        lambda text: in_folders(text).replace("/", "\\"),
        "utf-8",
        ".txt",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_the_tables_gives_the_same_photos(folder: Path, name: str) -> None:
    official = photos(folder)
    change, encoding, ending = FORMS[name]
    for file in TABLES:
        text = (folder / file).read_text()
        (folder / file).unlink()
        target = folder / file.replace(".txt", ending)
        target.write_bytes(change(text).encode(encoding))
    found = photos(folder)
    pd.testing.assert_frame_equal(found.frame, official.frame)
    assert found.counts == official.counts


def test_without_partitions_and_identities_both_decide_nothing(folder: Path) -> None:
    official = photos(folder)
    for file in (IDENTITY, PARTITION):
        (folder / file).unlink()
    found = photos(folder)
    columns = ["identity", "partition"]
    pd.testing.assert_frame_equal(
        found.frame.drop(columns=columns), official.frame.drop(columns=columns)
    )
    assert found.frame["identity"].is_unique and found.frame["identity"].lt(0).all()
    assert found.frame["partition"].eq(-1).all()


def keep_columns(folder: Path, names: list[str], called: list[str] | None = None) -> None:
    labels = table.read(folder / ATTRIBUTES)[names]
    pairs = zip(labels.index, labels.to_numpy(), strict=True)
    rows = [" ".join([file, *map(str, row)]) for file, row in pairs]
    head = [str(len(rows)), " ".join(called or names)]
    (folder / ATTRIBUTES).write_text("\n".join([*head, *rows]))


def test_five_of_the_forty_columns_are_enough(folder: Path) -> None:
    official = photos(folder).frame
    keep_columns(folder, ["Male", "Smiling", "Black_Hair", "Blurry", "Wavy_Hair"])
    found = photos(folder).frame
    assert found["file"].tolist() == official["file"].tolist()
    pd.testing.assert_series_equal(found["smile"], official["smile"])
    assert found["glasses"].eq("unknown").all()
    keep_columns(folder, ["Smiling", "Blurry"])
    assert "male_share" not in photos(folder, keep={}).counts
    with pytest.raises(StageError, match="unknown label 'Male'"):
        photos(folder)
    with pytest.raises(StageError, match="male_fraction: .* no column 'Male'"):
        photos(folder, keep={}, male_fraction=0.5)


@pytest.mark.parametrize(
    ("right", "wrong"), [("Smiling", "Smilling"), ("Eyeglasses", "Eye_Glasses")]
)
def test_a_misspelt_column_is_named(folder: Path, right: str, wrong: str) -> None:
    called = [wrong if name == right else name for name in CELEBA_ATTRIBUTES]
    keep_columns(folder, list(CELEBA_ATTRIBUTES), called)
    with pytest.raises(StageError, match=f"{ATTRIBUTES}: .* '{wrong}': call it '{right}'"):
        photos(folder)


def test_the_names_of_all_labels_are_celebas() -> None:
    assert sorted(layout.LABELS) == sorted(CELEBA_ATTRIBUTES)


def test_a_png_copy_is_found_beside_lists_of_jpg(folder: Path) -> None:
    images = folder / "img_align_celeba"
    named = {file.name for file in images.iterdir()}
    for file in sorted(images.iterdir()):
        try:
            Image.open(file, formats=["JPEG"]).save(file.with_suffix(".png"))
        except OSError:
            file.with_suffix(".png").write_bytes(b"\x89PNG")
        file.unlink()
    (images / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    found = photos(folder)
    assert found.counts["present"] == 12 and found.counts["kept"] == 7
    assert found.counts["images_unlisted"] == 0 and found.counts["no_pictures"] == 1
    assert set(found.frame["file"]) <= named
    images.rename(folder / "img_align_celeba_png")
    pd.testing.assert_frame_equal(photos(folder).frame, found.frame)


PACKED = ["img_align_celeba.7z.001", "img_align_celeba.zip.001", "img_align_celeba.z01"]


@pytest.mark.parametrize("name", [*PACKED, "img_align_celeba.rar", "img_align_celeba_png.7z.001"])
def test_images_in_parts_are_named_with_what_to_do(folder: Path, name: str) -> None:
    shutil.rmtree(folder / "img_align_celeba")
    (folder / "Img").mkdir()
    (folder / "Img" / name).write_bytes(bytes(100))
    with pytest.raises(StageError, match=f"Img/{name} is packed .*unpack it") as error:
        photos(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", [*DAMAGES, "a bomb"])
def test_a_bad_entry_of_the_zip_is_one_counted_row(
    folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((folder / "img_align_celeba").iterdir())
    path = folder / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            bomb = how == "a bomb" and file == files[0]
            archive.writestr(file.name, bytes(3_000_000) if bomb else file.read_bytes())
    shutil.rmtree(folder / "img_align_celeba")
    monkeypatch.setattr(layout, "MAX_BYTES", 1_000_000)
    if how != "a bomb":
        damage(path, how)
    found = photos(folder, keep={})
    reasons = found.corrupt.set_index("file")["reason"]
    assert files[0].name in reasons and reasons[files[0].name]
    assert "known format" not in reasons[files[0].name]
    assert found.counts["corrupt"] == 2  # this one, and the one that is broken anyway


def test_a_zip_of_too_many_entries_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.make_archive(str(folder / "img_align_celeba"), "zip", folder / "img_align_celeba")
    shutil.rmtree(folder / "img_align_celeba")
    monkeypatch.setattr("crawl.archives.containers._MAX_DIRECTORY", 500)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(StageError, match=r"img_align_celeba\.zip .*table of contents") as caught:
        photos(folder)
    assert "\n" not in str(caught.value)


WRONG: dict[str, tuple[str, str]] = {
    "empty": ("", "is empty"),
    "a count alone": ("12\n", "is empty"),
    "no text": ("\x00\x81", "malformed"),
    "HTML": ("<html>\n<title>Quota exceeded</title>", "malformed"),
    "a row twice": ("a b\n1.jpg 1 1\n1.jpg 1 1\n", "lists 1.jpg twice"),
    "a row cut short": ("a b\n1.jpg 1 1\n2.jpg 1", "malformed"),
    "a row too long": ("a b\n1.jpg 1 1\n2.jpg 1 1 1", "malformed"),
    "words": ("a b\n1.jpg 1 x\n", "'x'"),
    "too many names": ("a b c d\n1.jpg 1 1\n", "4 column names, 'a'"),
    "a number of hundreds of digits": ("a b\n1.jpg 1 1" + "9" * 400 + "\n", "malformed"),
    "no header": ("1.jpg 1 1\n2.jpg 1 1\n", "no header"),
    "a wrong count": ("3\na b\n1.jpg 1 1\n", "announces 3 images, has 1 rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_is_none_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]
    path = tmp_path / ATTRIBUTES
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StageError, match=words) as error:
        table.read(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 400


def test_numbers_that_are_no_whole_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("image_id,x,y\na/1.jpg,1.5,2\n")
    found = table.read(tmp_path / "x.csv")
    assert found.loc["1.jpg"].tolist() == [1.5, 2.0] and found.dtypes.eq(np.float64).all()

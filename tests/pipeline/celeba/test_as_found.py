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


def cells(text: str) -> list[list[str]]:
    """Rows with a header that names the first column, too, where there is one."""
    rows = [line.split() for line in without_count(text).splitlines()]
    return [row if len(row) == len(rows[-1]) else ["image_id", *row] for row in rows]


def joined(by: str, end: str = "") -> Change:
    return lambda text: "\n".join(by.join(row) + end for row in cells(text))


def quoted(text: str) -> str:
    return "\n".join(",".join(f"'{cell}'" for cell in row) for row in cells(text))


def numbered(text: str) -> str:
    """As pandas writes a table with its index."""
    rows = cells(text)
    headed = rows[0][0] == "image_id"
    numbers = [*([""] if headed else []), *map(str, range(len(rows)))]
    return "\n".join(",".join([n, *row]) for n, row in zip(numbers, rows, strict=False))


def names_last(text: str) -> str:
    return "\n".join(",".join([*row[1:], row[0]]) for row in cells(text))


def filled_up(text: str) -> str:
    """As a spreadsheet writes it: every line has as many cells."""
    rows = cells(text)
    return "\n".join([f"{len(rows) - 1}{',' * (len(rows[0]) - 1)}", *map(",".join, rows)])


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
    "semicolons": (joined(";"), "utf-8", ".csv"),
    "tabs": (joined("\t"), "utf-8", ".txt"),
    "bars": (joined("|"), "utf-8", ".txt"),
    "a comma at the end": (joined(",", ","), "utf-8", ".csv"),
    "single quotes": (quoted, "utf-8", ".csv"),
    "numbered rows": (numbered, "utf-8", ".csv"),
    "names last": (names_last, "utf-8", ".csv"),
    "filled up": (
        lambda text: filled_up(text) if text.startswith("12") else text,
        "utf-8",
        ".csv",
    ),
    "hard blanks": (lambda text: text.replace(" ", "\u00a0"), "utf-8", ".txt"),
    "UTF-16 without a mark": (str, "utf-16-le", ".txt"),
    "UTF-32": (str, "utf-32", ".txt"),
    "an end of DOS": (lambda text: f"{text}\n\x1a", "utf-8", ".txt"),
    "0 for -1": (lambda text: text.replace(" -1", " 0"), "utf-8", ".txt"),
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


RENAMED: dict[str, Change] = {
    "capitals": lambda text: text.replace(".jpg", ".JPG"),
    "PNG": lambda text: text.replace(".jpg", ".png"),
    "no ending": lambda text: text.replace(".jpg", ""),
}


@pytest.mark.parametrize("how", RENAMED)
@pytest.mark.parametrize("file", TABLES)
def test_tables_may_name_the_images_differently(folder: Path, file: str, how: str) -> None:
    official = photos(folder).frame.drop(columns=["file", "image"])
    (folder / file).write_text(RENAMED[how]((folder / file).read_text()))
    found = photos(folder).frame.drop(columns=["file", "image"])
    pd.testing.assert_frame_equal(found, official)


NEAR = {  # what lies there in the place of a table: what to do
    "list_attr_celeba.csv.zip": "unpack it",
    "LIST_ATTR_CELEBA.TXT": f"call it {ATTRIBUTES}",
    "list_attr_celeba (1).txt": f"call it {ATTRIBUTES}",
    "list_attr_celeba.parquet": f"save it as {ATTRIBUTES}",
    "CelebA/list_attr_celeba.csv": "set celeba.path to {folder}/CelebA",
    "CelebA/Anno/list_attr_celeba.txt": "set celeba.path to {folder}/CelebA",
}


@pytest.mark.parametrize("name", NEAR)
def test_a_missing_table_that_lies_near_is_named(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / ATTRIBUTES).rename(folder / name)
    with pytest.raises(StageError) as error:
        photos(folder)
    assert str(error.value).endswith(
        f"{folder / name} is there: {NEAR[name].format(folder=folder)}"
    )


def test_of_two_pictures_with_one_name_the_outer_one_is_used(folder: Path) -> None:
    official = photos(folder)
    small = folder / "img_align_celeba" / "a" / "small"
    small.mkdir(parents=True)
    for file in official.frame["file"]:
        Image.new("RGB", (20, 30)).save(small / file)
    found = photos(folder)
    pd.testing.assert_frame_equal(found.frame, official.frame)
    assert found.counts["images_unlisted"] == len(official.frame)


def test_an_empty_folder_does_not_hide_the_zip(folder: Path) -> None:
    official = photos(folder).counts
    shutil.make_archive(str(folder / "img_align_celeba"), "zip", folder / "img_align_celeba")
    shutil.rmtree(folder / "img_align_celeba")
    (folder / "img_align_celeba").mkdir()
    assert photos(folder).counts == official
    with zipfile.ZipFile(folder / "outer.zip", "w") as outer:
        outer.write(folder / "img_align_celeba.zip", "inner.zip")
    (folder / "outer.zip").replace(folder / "img_align_celeba.zip")
    with pytest.raises(StageError, match="holds no picture, only inner.zip: .*unpacked"):
        photos(folder)


def test_a_tar_is_unpacked_by_what_unpacks_it(folder: Path) -> None:
    shutil.make_archive(str(folder / "img_align_celeba"), "gztar", folder / "img_align_celeba")
    shutil.rmtree(folder / "img_align_celeba")
    with pytest.raises(StageError, match="tar xf img_align_celeba.tar.gz"):
        photos(folder)


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
    "a header alone": ("a b\n", "no rows"),
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

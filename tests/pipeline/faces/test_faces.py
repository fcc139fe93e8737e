"""Faces are found where they were drawn; every picture and face ends in one counted outcome."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.core import tables, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Exclude, Faces
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import booru_tags, sample_faces
from pipeline.faces import __main__ as faces
from pipeline.faces import detect, detectors, extract
from pipeline.faces.measures import mouth_measured
from pipeline.imaging import images
from pipeline.imaging.attributes import nearest_colour, values_of
from tests.pipeline.evaluate.aligned_faces import ALIGN as TEMPLATE
from tests.pipeline.evaluate.aligned_faces import drawn_anime

ALIGN = Align(size=64, eye_distance=0.26, eye_line=0.5, max_border=0.35)
SETTINGS = Faces(
    detect_size=640,
    pad=0.0,
    min_likelihood=0.5,
    min_eye_distance=8,
    min_sharpness=20,
    max_tilt=35,
)
NOTHING = Exclude()
REAL = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "selfie2anime128"
CROWD = 3  # faces on the second page


def changed(**values) -> Faces:
    return SETTINGS.model_copy(update=values)


def raw_row(data: bytes, name: str, tags: str = "") -> dict:
    return {
        "id": hashlib.sha256(data).hexdigest(),
        "image": {"bytes": data, "path": None},
        "md5": hashlib.md5(data).hexdigest(),
        **{column: f"{column}-{name}" for column in extract.PROVENANCE},
        "tags": tags,
    }


def page(count: int, seed: int) -> tuple[np.ndarray, list, str]:
    """A drawn page, where its faces are, and its tags."""
    people = sample_faces(count, seed, "anime")
    rgb, records = draw_page(people, *page_size(count, 60), seed)
    return rgb, records, " ".join(booru_tags(people, seed))


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """One face with tags, a page with three, a picture without a face, and two broken files."""
    single, _, tags = page(1, 3)
    crowd, _, crowd_tags = page(CROWD, 5)
    rng = np.random.default_rng(0)
    sky = cv2.resize(rng.integers(100, 200, (4, 4, 3), np.uint8), (200, 200))
    whole = tables.encode_jpeg(crowd)
    return pd.DataFrame(
        [
            raw_row(tables.encode_png(single), "single", tags),
            raw_row(whole, "crowd", crowd_tags),
            raw_row(tables.encode_png(sky), "sky"),
            raw_row(whole[: len(whole) // 2], "truncated"),
            raw_row(b"<html>not found</html>", "html"),
        ]
    )


@pytest.fixture(scope="module")
def found(raw: pd.DataFrame) -> extract.FacesResult:
    return extract.find_faces([raw], SETTINGS, ALIGN, NOTHING, workers=1)


def test_every_picture_and_face_is_counted(found: extract.FacesResult) -> None:
    counts = found.counts
    assert counts["pictures"] == 5
    assert counts["unreadable"] == 2 and counts["no_face"] == 1 and counts["with_faces"] == 2
    assert counts["detected"] == 1 + CROWD
    assert counts["excluded_pictures"] == counts["excluded_faces"] == 0
    assert counts["kept"] == len(found.frame) == 1 + CROWD - counts["border"]
    assert sorted(found.unreadable["url"]) == ["url-html", "url-truncated"]
    assert found.unreadable["reason"].str.len().gt(5).all()
    assert set(found.rejected["reason"]) <= {"no_face", "border"}


def test_eyes_are_found_where_they_were_drawn(found: extract.FacesResult) -> None:
    _, records, _ = page(CROWD, 5)
    rows = found.frame[found.frame["url"] == "url-crowd"]
    assert len(rows) >= 2
    for row in rows.to_dict("records"):
        record = min(records, key=lambda r: abs(r["left_eye_x"] - row["left_x"]))
        for side in ("left", "right"):
            off = (
                row[f"{side}_x"] - record[f"{side}_eye_x"],
                row[f"{side}_y"] - record[f"{side}_eye_y"],
            )
            assert np.hypot(*off) < 0.25 * row["eye_distance"]
        assert row["left_x"] < row["right_x"]
    assert rows["page_faces"].eq(CROWD).all()


def test_tags_are_believed_only_where_one_face_can_be_meant(found: extract.FacesResult) -> None:
    person = sample_faces(1, 3, "anime")[0]
    single = found.frame[found.frame["url"] == "url-single"].iloc[0]
    assert (single["hair"], single["hair_from"]) == (person.hair_colour, "tag")
    assert single["gender"] == person.gender
    crowd = found.frame[found.frame["url"] == "url-crowd"]
    assert crowd["hair_from"].eq("measured").all() and crowd["smile"].eq("unknown").all()


def test_whether_a_drawn_mouth_is_open_is_measured() -> None:
    people = [replace(person, yaw=0.0) for person in sample_faces(40, 11, "anime")]
    told = np.array([mouth_measured(crop, TEMPLATE.eye_distance) for crop in drawn_anime(people)])
    smiling = np.array([person.smiles for person in people])  # which opens a mouth in the demo
    assert smiling[told == "yes"].mean() > 0.9 and smiling[told == "no"].mean() < 0.1
    assert (told[smiling] == "yes").mean() > 0.8 and (told == "no").sum() >= 3


def test_ids_are_of_the_pixels_and_images_have_the_size(found: extract.FacesResult) -> None:
    for row in found.frame.to_dict("records"):
        rgb = tables.decode(row["image"]["bytes"])
        assert rgb.shape == (64, 64, 3)
        assert row["id"] == hashlib.sha256(rgb.tobytes()).hexdigest()


def test_colours_in_lab_are_those_of_the_names(found: extract.FacesResult) -> None:
    for row in found.frame.to_dict("records"):
        assert 0 <= row["hair_L"] <= 100 and abs(row["skin_a"]) < 128 and abs(row["skin_b"]) < 128
        lab = np.float32([[[row["hair_L"], row["hair_a"], row["hair_b"]]]])
        rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0] * 255
        assert nearest_colour("hair", rgb) == row["hair_measured"]
        assert row["skin_measured"] in values_of("skin") and row["skin"] != "unknown"
        assert row["skin_L"] > 50 and row["mouth_y"] > max(row["left_y"], row["right_y"])


def test_worker_count_and_batches_change_nothing(raw, found: extract.FacesResult) -> None:
    batches = [raw.iloc[[4, 0]], raw.iloc[[1]], raw.iloc[[2, 3]]]
    again = extract.find_faces(batches, SETTINGS, ALIGN, NOTHING, workers=2)
    pd.testing.assert_frame_equal(again.frame, found.frame)
    assert again.counts == found.counts


def test_how_the_raw_rows_lie_in_shards_changes_nothing(raw, tmp_path: Path) -> None:
    halves = np.repeat(np.uint8([1, 0]), 32)[:, None, None] * np.ones((1, 64, 3), np.uint8)
    more = pd.DataFrame(  # more pictures without a face than the sheet shows
        raw_row(tables.encode_png(halves * np.uint8(grey)), f"grey-{grey}")
        for grey in range(1, extract.SHOWN + 11)
    )
    rows = pd.concat([raw, more], ignore_index=True)
    tables.write_frame(tmp_path / "one", "raw", rows)
    for number, start in enumerate(range(0, len(rows), 4)):
        tables.write_frame(tmp_path / "many", f"raw-s-{number}", rows[start : start + 4])
    one, many = (
        extract.find_faces(
            extract.raw_batches(tmp_path / name), SETTINGS, ALIGN, NOTHING, workers=1
        )
        for name in ("one", "many")
    )
    pd.testing.assert_frame_equal(one.frame, many.frame)
    pd.testing.assert_frame_equal(one.unreadable, many.unreadable)
    assert one.rejected["id"].tolist() == many.rejected["id"].tolist()
    assert one.rejected["reason"].eq("no_face").sum() == extract.SHOWN
    assert one.counts == many.counts


@pytest.mark.parametrize("name", ["id", "md5", "url", "post"])
def test_an_excluded_picture_gives_no_face(raw: pd.DataFrame, name: str) -> None:
    crowd = raw.iloc[1]
    named = f"{crowd['source']}/{crowd['post_id']}" if name == "post" else crowd[name]
    result = extract.find_faces([raw], SETTINGS, ALIGN, Exclude(images=[named]), workers=1)
    assert result.frame["url"].tolist() == ["url-single"]
    assert result.counts["excluded_pictures"] == 1 and result.counts["pictures"] == 5


def test_an_excluded_face_goes_and_its_picture_stays(raw, found: extract.FacesResult) -> None:
    crowd = found.frame[found.frame["url"] == "url-crowd"]
    exclude = Exclude(images=[crowd["id"].iloc[0]])
    result = extract.find_faces([raw], SETTINGS, ALIGN, exclude, workers=1)
    assert set(result.frame["id"]) == set(found.frame["id"]) - set(exclude.images)
    assert result.counts["excluded_faces"] == 1


def test_pictures_with_an_excluded_tag_go(raw: pd.DataFrame) -> None:
    (tag, *_) = sorted(set(raw["tags"][0].split()) - set(raw["tags"][1].split()))
    result = extract.find_faces([raw], SETTINGS, ALIGN, Exclude(tags=[tag]), workers=1)
    assert set(result.frame["url"]) == {"url-crowd"} and result.counts["excluded_pictures"] == 1


@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        ("small", {"min_eye_distance": 500}),
        ("blurred", {"min_sharpness": 1e6}),
        ("tilted", {"max_tilt": 0.001}),
        ("greyscale", {"min_colour": 200}),
    ],
)
def test_gates_count_what_they_stop_and_nothing_left_is_an_error(raw, reason, settings) -> None:
    told = rf"no face is left of 1 pictures \({CROWD} {reason}\)"
    with pytest.raises(StageError, match=told):
        extract.find_faces([raw.iloc[[1]]], changed(**settings), ALIGN, NOTHING, workers=1)


def test_unlikely_faces_are_stopped(raw, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubtful(*arguments) -> detectors.Found:
        found = detectors.find(*arguments)
        return replace(found, faces=[replace(face, likelihood=0.49) for face in found.faces])

    monkeypatch.setattr(extract, "find", doubtful)
    with pytest.raises(StageError, match=r"\(1 unlikely\)"):
        extract.find_faces([raw.iloc[[0]]], SETTINGS, ALIGN, NOTHING, workers=1)


def test_border_gate(raw: pd.DataFrame) -> None:
    strict = ALIGN.model_copy(update={"max_border": 0.0, "eye_distance": 0.1})
    with pytest.raises(StageError, match="1 border"):
        extract.find_faces([raw.iloc[[0]]], SETTINGS, strict, NOTHING, workers=1)


def test_close_up_is_found_at_a_smaller_look() -> None:
    rgb, _, _ = page(1, 3)
    close = cv2.resize(rgb, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert len(detect.detect(close, 2000, 0.0)) == 1


def test_tight_crop_needs_the_grey_border() -> None:
    rgb, records, _ = page(1, 5)
    x, y, width, height = (round(records[0][key]) for key in ("x", "y", "width", "height"))
    tight = np.ascontiguousarray(rgb[max(y, 0) : y + height, max(x, 0) : x + width])
    assert not detect.detect(tight, 640, 0.0)
    found = detect.detect(tight, 640, 0.25)
    assert len(found) == 1
    left = found[0].eyes[0] + (max(x, 0), max(y, 0))
    true = (records[0]["left_eye_x"], records[0]["left_eye_y"])
    assert np.linalg.norm(left - true) < 0.25 * found[0].eye_distance


def test_blind_detector_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    detect.check_detector(640)
    monkeypatch.setattr(detect.animeface_process, "look", lambda rgb: [])
    with pytest.raises(StageError, match="pillow<12"):
        detect.check_detector(640)


def test_transparent_pictures_are_read_on_white_and_upright() -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :3] = (0, 0, 255, 255)  # BGRA: red on the left half, nothing on the right
    rgb = images.read_rgb(cv2.imencode(".png", rgba)[1].tobytes())
    assert rgb.shape == (4, 6, 3)
    assert rgb[0, 0].tolist() == [255, 0, 0] and rgb[0, 5].tolist() == [255, 255, 255]


def test_a_picture_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(StageError, match="20×20 pixels are too many"):
        images.read_rgb(tables.encode_png(np.zeros((20, 20, 3), np.uint8)))


def test_main_writes_faces_lists_and_sheets(raw, tmp_path, monkeypatch, fake_run) -> None:
    monkeypatch.chdir(tmp_path)
    tables.write_frame(faces.RAW, "raw", raw)
    tables.write_file(faces.RAW / "failures.parquet", pd.DataFrame({"url": ["x"]}))
    content = {
        "compute": {"workers": 1},
        "align": ALIGN.model_dump(),
        "exclude": {},
        "faces": SETTINGS.model_dump(),
    }
    Path("params.yaml").write_text(yaml_files.dumps(content))
    faces.main()
    assert len(pd.read_parquet(faces.OUT)) == fake_run.logged["kept"] >= 3
    assert len(pd.read_parquet(faces.DROPPED / "faces.parquet")) == 2
    assert {path.name for path in faces.SHEETS.iterdir()} == {
        "kept.png",
        "rejected.png",
        "measures.png",
    }
    first = {path: path.read_bytes() for path in Path().rglob("*.p*") if path.is_file()}
    faces.main()
    assert first == {path: path.read_bytes() for path in first}


def test_real_anime_faces() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real anime faces at {REAL}")
    with zipfile.ZipFile(REAL / "trainB.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:16]
        rows = pd.DataFrame([raw_row(archive.read(name), name) for name in names])
    result = extract.find_faces([rows], changed(pad=0.1), ALIGN, NOTHING, workers=1)
    assert result.counts["with_faces"] >= 15 and result.counts["kept"] >= 9


def test_the_same_picture_always_has_the_same_colours() -> None:
    """animeface alone clusters colours from starts seeded by the clock."""
    width, height = page_size(3, 100)
    page, _ = draw_page(sample_faces(3, 5, "anime"), width, height, 0)
    looks = [detect.detect(page, 640, 0.0) for _ in range(3)]
    assert len(looks[0]) == 3
    for other in looks[1:]:
        for one, same in zip(looks[0], other, strict=True):
            assert np.array_equal(one.hair, same.hair) and np.array_equal(one.iris, same.iris)

"""What is drawn is seen: by the detectors, and in the pixels where the attribute should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import animeface
import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import (
    ANIME_HAIR,
    NATURAL_HAIR,
    booru_tags,
    celeba_labels,
    same_person,
    sample_faces,
)
from pipeline.demo.gallery import UNIT
from pipeline.demo.photo.picture import draw_photo

DETECTORS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "detectors"


def test_animeface_finds_drawn_faces_on_pages() -> None:
    faces = sample_faces(60, 21, "anime")
    found = 0
    for start in range(0, len(faces), 3):
        group = faces[start : start + 3]
        rgb, records = draw_page(group, *page_size(3, UNIT), seed=start)
        boxes = [hit.face.pos for hit in animeface.detect(Image.fromarray(rgb))]
        for record in records:
            x = (record["left_eye_x"] + record["right_eye_x"]) / 2
            y = (record["left_eye_y"] + record["right_eye_y"]) / 2
            found += any(0 < x - b.x < b.width and 0 < y - b.y < b.height for b in boxes)
    assert found / len(faces) >= 0.95


def test_yunet_finds_drawn_photos_and_their_eyes() -> None:
    model = DETECTORS / "yunet_n_640_640.onnx"
    if not model.is_file():
        pytest.skip("no YuNet model in ../shared/data/detectors")
    detector = cv2.FaceDetectorYN.create(str(model), "", (178, 218), 0.6)
    errors = []
    for face in sample_faces(100, 22, "photos"):
        rgb, marks = draw_photo(face)
        hits = detector.detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
        if hits is not None:
            seen = max(hits, key=lambda hit: hit[14])[4:8]
            told = [marks[k] for k in ("lefteye_x", "lefteye_y", "righteye_x", "righteye_y")]
            errors.append(np.abs(seen - told).max())
    assert len(errors) >= 90
    assert np.median(errors) < 4  # pixels; the eyes are 39 apart


@pytest.mark.parametrize("colour", NATURAL_HAIR)
def test_hair_colour_shows_in_both_styles(colour: str) -> None:
    """Among the domain's colours, the drawn hair is nearest to its own in either style."""
    base = sample_faces(1, 3, "photos")[0]
    base = replace(base, hair_style="long", fringe="straight", yaw=0.0, hair_shade=0.0)
    photos = {name: hair_patch_of_photo(replace(base, hair_colour=name)) for name in NATURAL_HAIR}
    pages = {name: hair_patch_of_page(replace(base, hair_colour=name)) for name in ANIME_HAIR}
    for patches in (photos, pages):
        others = [np.linalg.norm(patches[colour] - v) for k, v in patches.items() if k != colour]
        assert min(others) > 25  # bytes in RGB


def hair_patch_of_photo(face) -> np.ndarray:
    return draw_photo(face)[0][45:70, 70:110].reshape(-1, 3).mean(0)


def hair_patch_of_page(face) -> np.ndarray:
    rgb, (record,) = draw_page([face], *page_size(1, 48.0), seed=1)
    x, y = int(record["x"] + record["width"] / 2), int(record["y"])
    return rgb[y - 5 : y + 10, x - 15 : x + 15].reshape(-1, 3).mean(0)


def test_smile_and_glasses_change_what_they_should() -> None:
    face = replace(sample_faces(1, 4, "photos")[0], smile=0.0, glasses=False, yaw=0.0, beard=0.0)
    plain = draw_photo(face)[0].astype(int)
    smiling = np.abs(draw_photo(replace(face, smile=1.0))[0] - plain).max(-1)
    assert smiling[140:165, 65:115].mean() > 5 * smiling[:60].mean()
    glasses = np.abs(draw_photo(replace(face, glasses=True))[0] - plain).max(-1)
    assert glasses[95:130, 45:135].mean() > 5 * glasses[150:].mean()


def test_drawing_is_deterministic_and_seeds_are_independent() -> None:
    faces = sample_faces(3, 9, "anime")
    assert faces == sample_faces(5, 9, "anime")[:3]
    assert len(set(sample_faces(50, 9, "anime"))) == 50
    assert sample_faces(3, 9, "photos") != faces != sample_faces(3, 10, "anime")
    size = page_size(3, 40.0)
    assert np.array_equal(draw_page(faces, *size, seed=1)[0], draw_page(faces, *size, seed=1)[0])
    assert np.array_equal(draw_photo(faces[0])[0], draw_photo(faces[0])[0])


def test_sampled_faces_cover_the_vocabulary() -> None:
    photos, anime = sample_faces(400, 1, "photos"), sample_faces(400, 1, "anime")
    assert {face.hair_colour for face in photos} == set(NATURAL_HAIR)
    assert {face.hair_colour for face in anime} == set(ANIME_HAIR)
    assert 0.65 < np.mean([face.gender == "female" for face in photos]) < 0.85
    assert not any(0.2 < face.smile < 0.7 for face in photos)


def test_labels_and_tags_say_what_the_face_has() -> None:
    face = replace(
        sample_faces(1, 1, "anime")[0],
        gender="female",
        hair_colour="blonde",
        hair_style="long",
        eye_colour="blue",
        smile=0.9,
        glasses=True,
        beard=0.0,
    )
    labels = celeba_labels(face)
    true = {name for name, value in labels.items() if value == 1}
    assert {"Blond_Hair", "Smiling", "Eyeglasses", "No_Beard"} <= true
    assert not true & {"Male", "Black_Hair", "Brown_Hair", "Gray_Hair", "Bald"}
    wanted = {"blonde_hair", "long_hair", "blue_eyes", "smile", "glasses", "solo"}
    many = [booru_tags([face], seed) for seed in range(300)]
    assert all("1girl" in tags for tags in many)
    dropped = np.mean([[tag not in tags for tag in wanted] for tags in many])
    assert 0.02 < dropped < 0.06
    boy = replace(face, gender="male", glasses=False)
    assert {"1girl", "2boys"} <= set(booru_tags([face, boy, boy], 0))


def test_a_person_keeps_their_face_between_photos() -> None:
    person, moment = sample_faces(2, 8, "photos")
    kept = same_person(person, moment)
    assert (kept.gender, kept.jaw, kept.skin_tone) == (person.gender, person.jaw, person.skin_tone)
    assert (kept.yaw, kept.background, kept.smile) == (moment.yaw, moment.background, moment.smile)

"""What tags, labels, colours and landmarks say, in one vocabulary for both domains."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo.attributes import CELEBA_ATTRIBUTES
from pipeline.imaging.attributes import (
    ATTRIBUTES,
    TABLE,
    UNKNOWN,
    from_celeba,
    from_tags,
    known_or_measured,
    mouth_bucket,
    nearest_colour,
    yaw_bucket,
)


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (
            "1girl solo silver_hair aqua_eyes smile",
            {"hair": "grey", "eyes": "blue", "smile": "yes", "glasses": "no", "gender": "female"},
        ),
        (
            "1boy black_hair glasses closed_mouth blunt_bangs parted_bangs profile",
            {"hair": "black", "smile": "no", "glasses": "yes", "gender": "male", "yaw": "profile"}
            | {"open_mouth": "no", "bangs": "yes"},
        ),
        ("1girl open_mouth forehead facing_viewer", {"open_mouth": "yes", "bangs": "no"}
         | {"yaw": "front", "smile": "no", "glasses": "no", "gender": "female"}),
        ("solo dark-skinned_female", {"skin": "dark", "smile": "no", "glasses": "no"}),
        ("blue_skin", {"skin": "coloured"}),
        ("pale_skin tan", {}),
        ("1girl 1boy", {"smile": "no", "glasses": "no"}),
        ("blonde_hair blue_hair pink_hair open_mouth closed_mouth", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_attributes_from_tags(tags: str, told: dict[str, str]) -> None:
    assert from_tags(tags) == dict.fromkeys(ATTRIBUTES, UNKNOWN) | told


def test_attributes_from_celeba_labels() -> None:
    labels = dict.fromkeys(CELEBA_ATTRIBUTES, False) | {"Blond_Hair": True, "Eyeglasses": True}
    labels["Mouth_Slightly_Open"] = True
    assert from_celeba(labels) == {
        **{"hair": "blonde", "eyes": UNKNOWN, "skin": UNKNOWN, "smile": "no", "open_mouth": "yes"},
        **{"glasses": "yes", "bangs": "no", "gender": "female", "yaw": UNKNOWN},
    }
    assert from_celeba(labels | {"Pale_Skin": True})["skin"] == "pale"
    both = from_celeba(labels | {"Black_Hair": True, "Male": True, "Bangs": True})
    assert both["hair"] == UNKNOWN and both["gender"] == "male" and both["bangs"] == "yes"


def test_the_table_names_real_labels_and_no_tag_twice() -> None:
    labels = {row.celeba.removeprefix("no ") for row in TABLE if row.celeba}
    assert labels <= set(CELEBA_ATTRIBUTES)
    tags = [tag for row in TABLE for tag in row.tags.split()]
    assert len(tags) == len(set(tags))
    assert {row.attribute for row in TABLE} == set(ATTRIBUTES)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((20, 20, 25), "black"), ((240, 210, 120), "blonde"), ((120, 70, 45), "brown")]
    + [((190, 190, 195), "grey"), ((200, 40, 40), "red"), ((60, 90, 200), "blue")]
    + [((90, 180, 90), "green"), ((250, 160, 190), "pink"), ((130, 70, 170), "purple")],
)
def test_plain_hair_colours_get_their_names(rgb: tuple[int, int, int], name: str) -> None:
    assert nearest_colour("hair", np.array(rgb)) == name


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((252, 250, 255), "pale"), ((255, 228, 208), "light"), ((170, 160, 150), "light")]
    + [((222, 164, 128), "tan"), ((160, 110, 85), "dark"), ((95, 65, 45), "dark")],
)
def test_skin_is_named_and_shade_does_not_make_it_dark(rgb, name: str) -> None:
    assert nearest_colour("skin", np.array(rgb)) == name


def test_what_no_tag_tells_is_measured() -> None:
    known = from_tags("1girl dark_skin")
    told = known_or_measured(known, {"hair_measured": "red", "skin_measured": "light"})
    assert (told["hair"], told["hair_from"], told["hair_measured"]) == ("red", "measured", "red")
    assert (told["skin"], told["skin_from"], told["skin_measured"]) == ("dark", "tag", "light")
    assert told["eyes"] == UNKNOWN


def test_a_mouth_between_open_and_closed_is_unknown() -> None:
    heights = (0.1, 0.19, 0.2, 0.28, 0.3, 0.6, np.nan)
    told = ["no", "no", UNKNOWN, UNKNOWN, "yes", "yes", UNKNOWN]
    assert [mouth_bucket(height) for height in heights] == told


@pytest.mark.parametrize(("degrees", "bucket"), [(0, "front"), (15, "front"), (30, "turned")]
                         + [(-30, "turned"), (60, "profile")])  # fmt: skip
@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_a_turned_head_is_told_whatever_its_tilt(degrees: int, bucket: str, tilt: float) -> None:
    turn = np.radians(degrees)
    eyes = np.array([(-0.5, 0), (0.5, 0)]) * np.cos(turn)
    nose = np.array([0.5 * np.sin(turn), 0.6])
    rotate = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]]) * 40
    assert yaw_bucket(eyes @ rotate + 7, nose @ rotate + 7) == bucket

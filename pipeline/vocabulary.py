"""One attribute vocabulary for both domains: what tags, CelebA's labels and pixels are mapped to.

``hair`` and ``eyes`` are colours, ``smile`` and ``glasses`` are yes or no, ``gender`` is female or
male, and each may be ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

UNKNOWN = "unknown"
ATTRIBUTES = ("hair", "eyes", "smile", "glasses", "gender")

# Attribute → value → the booru tags that say so. Rare colours go to their nearest common one.
TAGS: dict[str, dict[str, list[str]]] = {
    "hair": {
        "black": ["black_hair"],
        "brown": ["brown_hair", "light_brown_hair"],
        "blonde": ["blonde_hair"],
        "grey": ["grey_hair", "gray_hair", "silver_hair", "white_hair"],
        "red": ["red_hair", "orange_hair"],
        "blue": ["blue_hair", "light_blue_hair", "dark_blue_hair", "aqua_hair"],
        "green": ["green_hair", "light_green_hair", "dark_green_hair"],
        "pink": ["pink_hair"],
        "purple": ["purple_hair", "light_purple_hair"],
    },
    "eyes": {
        "black": ["black_eyes"],
        "brown": ["brown_eyes", "hazel_eyes"],
        "grey": ["grey_eyes", "gray_eyes", "silver_eyes", "white_eyes"],
        "red": ["red_eyes"],
        "blue": ["blue_eyes", "light_blue_eyes", "aqua_eyes"],
        "green": ["green_eyes"],
        "pink": ["pink_eyes"],
        "purple": ["purple_eyes", "violet_eyes"],
        "yellow": ["yellow_eyes", "gold_eyes", "amber_eyes", "orange_eyes"],
    },
    "smile": {"yes": ["smile", "grin", "smirk", "light_smile"]},
    "glasses": {"yes": ["glasses", "eyewear", "sunglasses"]},
    "gender": {"female": ["1girl"], "male": ["1boy"]},
}
PERSON_TAGS = {"1girl", "1boy", "solo"}  # a post that has none is hardly tagged at all

# Attribute → value → CelebA label; the colours exclude one another.
CELEBA: dict[str, dict[str, str]] = {
    "hair": {
        "black": "Black_Hair",
        "brown": "Brown_Hair",
        "blonde": "Blond_Hair",
        "grey": "Gray_Hair",
    },
    "smile": {"yes": "Smiling"},
    "glasses": {"yes": "Eyeglasses"},
    "gender": {"male": "Male"},
}
OTHERWISE = {"smile": "no", "glasses": "no", "gender": "female"}  # CelebA's labels say no, too

# Where a colour's name lies in CIE Lab: medians over faces of 96 px tagged with it (500 for hair as
# animeface measures it, 641 for eyes as `detect` does), duller than the names because outlines and
# highlights are averaged in, and for three hues a second place where flat paint puts them.
PROTOTYPES: dict[str, list[tuple[str, tuple[int, int, int]]]] = {
    "hair": [
        ("black", (29, 5, 0)),
        ("brown", (43, 17, 13)),
        ("blonde", (76, 7, 25)),
        ("grey", (67, 6, -1)),
        ("red", (53, 37, 21)),
        ("blue", (64, -6, -14)),
        ("blue", (51, 14, -50)),
        ("green", (70, -18, 15)),
        ("pink", (69, 25, 9)),
        ("pink", (73, 35, -5)),
        ("purple", (57, 19, -10)),
        ("purple", (47, 38, -43)),
    ],
    "eyes": [
        ("black", (45, 7, 9)),
        ("brown", (31, 17, 12)),
        ("grey", (25, 9, -3)),
        ("red", (35, 36, 15)),
        ("blue", (36, 7, -20)),
        ("green", (45, -16, 17)),
        ("pink", (43, 44, 0)),
        ("purple", (33, 28, -21)),
        ("yellow", (44, 13, 33)),
    ],
}
# Light and shade move lightness most and tell colour names apart least: with half of the faces
# held out, 0.4 names 59 % of hair colours as the (noisy) tags do, and 1.0 names 55 %.
LIGHTNESS_WEIGHT = 0.4


def from_tags(tags: str) -> dict[str, str]:
    """The five attributes that space-separated booru ``tags`` of a one-person picture tell.

    Two colours contradict each other: ``unknown``. A missing ``smile`` or ``glasses`` means no only
    where the post is tagged well enough to count its people.
    """
    words = set(tags.split())
    found = dict.fromkeys(ATTRIBUTES, UNKNOWN)
    for attribute, values in TAGS.items():
        named = [value for value, synonyms in values.items() if words & set(synonyms)]
        if len(named) == 1:
            found[attribute] = named[0]
        elif not named and attribute in ("smile", "glasses") and words & PERSON_TAGS:
            found[attribute] = "no"
    return found


def from_celeba(labels: Mapping[Any, bool]) -> dict[str, str]:
    """The five attributes that CelebA's ``labels`` (name → present) tell; eyes are unlabelled."""
    found = dict.fromkeys(ATTRIBUTES, UNKNOWN)
    for attribute, values in CELEBA.items():
        named = [value for value, label in values.items() if labels[label]]
        if len(named) == 1:
            found[attribute] = named[0]
        elif not named:
            found[attribute] = OTHERWISE.get(attribute, UNKNOWN)
    return found


def nearest_colour(part: str, rgb: np.ndarray) -> str:
    """The vocabulary's name nearest in CIE Lab to a measured colour.

    Args:
        part: ``hair`` or ``eyes``.
        rgb: [3], 0–255.
    """
    lab = cv2.cvtColor(np.float32(rgb).reshape(1, 1, 3) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    places = np.array([place for _, place in PROTOTYPES[part]], np.float32)
    offsets = (places - lab) * (LIGHTNESS_WEIGHT, 1, 1)
    return PROTOTYPES[part][int((offsets**2).sum(axis=1).argmin())][0]


def known_or_measured(known: dict[str, str], measured: dict[str, str]) -> dict[str, str]:
    """Attributes from tags, with colours that no tag tells taken from ``*_measured``."""
    result = dict(known) | measured
    for part in ("hair", "eyes"):
        told = known[part] != UNKNOWN
        result[part] = known[part] if told else measured[f"{part}_measured"]
        result[f"{part}_from"] = "tag" if told else "measured"
    return result

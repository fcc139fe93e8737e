"""One attribute vocabulary for both domains: what tags, CelebA's labels and pixels are mapped to.

Every attribute of every face is one of the values in `TABLE`, or ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pipeline.imaging.colours import to_lab

CELEBA = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"  # where its labels are explained
UNKNOWN = "unknown"
ATTRIBUTES = ("hair", "eyes", "skin", "smile", "open_mouth", "glasses", "bangs", "gender", "yaw")
COLOURS = ("hair", "eyes", "skin")
MEASURED = (*COLOURS, "open_mouth")  # of an anime face, where no tag tells

Lab = tuple[int, int, int]


class Row(NamedTuple):
    """A value of an attribute, and what says so in each domain."""

    attribute: str
    value: str
    celeba: str  # label; with "no " before it, its absence; empty: CelebA does not tell
    tags: str  # booru tags, any of which says so; rare colours go to their nearest common one
    lab: tuple[Lab, ...] = ()  # where a measured colour of that name lies, see below


# Where a colour's name lies in CIE Lab: medians over faces of 96 px tagged with it (500 for hair as
# animeface measures it, 641 for eyes as `detect` does), duller than the names because outlines and
# highlights are averaged in, and for three hues a second place where flat paint puts them. Skin is
# by looking at 2,505 faces without such tags, light skin in shade, blush and warm light, too: 12 %
# pale, 87 % light; all 6 dark ones look dark, half of the 21 tan ones are light skin at a fire.
# fmt: off
TABLE = (
    Row("hair", "black", "Black_Hair", "black_hair", ((29, 5, 0),)),
    Row("hair", "brown", "Brown_Hair", "brown_hair light_brown_hair", ((43, 17, 13),)),
    Row("hair", "blonde", "Blond_Hair", "blonde_hair", ((76, 7, 25),)),
    Row("hair", "grey", "Gray_Hair", "grey_hair gray_hair silver_hair white_hair", ((67, 6, -1),)),
    Row("hair", "red", "", "red_hair orange_hair", ((53, 37, 21),)),
    Row("hair", "blue", "", "blue_hair light_blue_hair dark_blue_hair aqua_hair",
        ((64, -6, -14), (51, 14, -50))),
    Row("hair", "green", "", "green_hair light_green_hair dark_green_hair", ((70, -18, 15),)),
    Row("hair", "pink", "", "pink_hair", ((69, 25, 9), (73, 35, -5))),
    Row("hair", "purple", "", "purple_hair light_purple_hair", ((57, 19, -10), (47, 38, -43))),
    Row("eyes", "black", "", "black_eyes", ((45, 7, 9),)),
    Row("eyes", "brown", "", "brown_eyes hazel_eyes", ((31, 17, 12),)),
    Row("eyes", "grey", "", "grey_eyes gray_eyes silver_eyes white_eyes", ((25, 9, -3),)),
    Row("eyes", "red", "", "red_eyes", ((35, 36, 15),)),
    Row("eyes", "blue", "", "blue_eyes light_blue_eyes aqua_eyes", ((36, 7, -20),)),
    Row("eyes", "green", "", "green_eyes", ((45, -16, 17),)),
    Row("eyes", "pink", "", "pink_eyes", ((43, 44, 0),)),
    Row("eyes", "purple", "", "purple_eyes violet_eyes", ((33, 28, -21),)),
    Row("eyes", "yellow", "", "yellow_eyes gold_eyes amber_eyes orange_eyes", ((44, 13, 33),)),
    Row("skin", "pale", "Pale_Skin", "pale_skin white_skin", ((97, 1, -2),)),
    Row("skin", "light", "", "", ((91, 4, 12), (72, 7, 14), (76, 20, 12), (83, 12, 28))),
    Row("skin", "tan", "", "tan tanned", ((74, 18, 30),)),
    Row("skin", "dark", "", "dark_skin very_dark_skin dark-skinned_female dark-skinned_male",
        ((54, 17, 23),)),
    Row("skin", "coloured", "", "colored_skin blue_skin green_skin grey_skin gray_skin purple_skin"
        " pink_skin red_skin orange_skin yellow_skin"),
    Row("smile", "yes", "Smiling", "smile grin smirk light_smile"),
    Row("smile", "no", "no Smiling", "frown expressionless"),
    Row("open_mouth", "yes", "Mouth_Slightly_Open", "open_mouth parted_lips"),
    Row("open_mouth", "no", "no Mouth_Slightly_Open", "closed_mouth"),
    Row("glasses", "yes", "Eyeglasses", "glasses eyewear sunglasses"),
    Row("glasses", "no", "no Eyeglasses", "no_eyewear"),
    Row("bangs", "yes", "Bangs",
        "bangs blunt_bangs swept_bangs parted_bangs crossed_bangs asymmetrical_bangs"),
    Row("bangs", "no", "no Bangs", "forehead hair_pulled_back"),
    Row("gender", "female", "no Male", "1girl"),
    Row("gender", "male", "Male", "1boy"),
    # Photos: from landmarks, see `yaw_bucket`. Drawings: from tags alone, for animeface's nose says
    # little: of 59 faces judged by eye it tells 61 % front or turned; "front" for all is 54 %.
    Row("yaw", "front", "", "facing_viewer"),
    Row("yaw", "turned", "", "three-quarter_view"),
    Row("yaw", "profile", "", "profile from_side"),
)
# fmt: on
PERSON_TAGS = {"1girl", "1boy", "solo"}  # a post that has none is hardly tagged at all
NO_WHERE_UNTAGGED = ("smile", "glasses")  # what a tagger would not leave out of a tagged post
# The nose's tip is about half the eyes' distance before them: turned by θ it is off the middle by
# 0.5·tan θ of their apparent distance, which is 0.18 at 20° and 0.5 at 45°.
YAW_LIMITS = (("front", 0.18), ("turned", 0.5), ("profile", float("inf")))
# The height of a drawn mouth's box in eye distances. Of 2,871 faces of selfie2anime, on which the
# median is 0.17, those above 0.29 have an open mouth and those below 0.2 a closed one, by eye.
MOUTH_LIMITS = (("no", 0.2), (UNKNOWN, 0.29), ("yes", float("inf")))
# Light and shade move lightness most and tell colour names apart least: with half of the faces
# held out, 0.4 names 59 % of hair colours as the (noisy) tags do, and 1.0 names 55 %.
LIGHTNESS_WEIGHT = 0.4


def from_tags(tags: str) -> dict[str, str]:
    """The attributes that space-separated booru ``tags`` of a one-person picture tell.

    Two values contradict each other: ``unknown``. A missing ``smile`` or ``glasses`` means no only
    where the post is tagged well enough to count its people; a missing ``open_mouth`` or ``bangs``
    means nothing, for many posts with them lack the tag.
    """
    words = set(tags.split())
    found = _sole_values({row for row in TABLE if words & set(row.tags.split())})
    for attribute in NO_WHERE_UNTAGGED:
        if attribute not in found and words & PERSON_TAGS:
            found[attribute] = "no"
    return dict.fromkeys(ATTRIBUTES, UNKNOWN) | found


def from_celeba(labels: Mapping[Any, bool]) -> dict[str, str]:
    """The attributes that CelebA's ``labels`` (name → present) tell; eyes are unlabelled, and
    of skin only that it is pale. A label that a copy lacks tells nothing."""
    named = {
        row
        for row in TABLE
        if (label := row.celeba.removeprefix("no "))
        and label in labels
        and labels[label] != row.celeba.startswith("no ")
    }
    return dict.fromkeys(ATTRIBUTES, UNKNOWN) | _sole_values(named)


def _sole_values(rows: set[Row]) -> dict[str, str]:
    """Attribute → value for ``rows``; attributes that two of them contradict each other in are
    ``unknown``."""
    found: dict[str, str] = {}
    for row in rows:
        found[row.attribute] = UNKNOWN if row.attribute in found else row.value
    return found


def values_of(attribute: str) -> list[str]:
    """The values of an attribute in the table's order, without ``unknown``."""
    return list(dict.fromkeys(row.value for row in TABLE if row.attribute == attribute))


def yaw_bucket(eyes: np.ndarray, nose: np.ndarray) -> str:
    """How far a face is turned, to either side: ``front``, ``turned`` or ``profile``.

    Args:
        eyes: [2, 2], (x, y) of both eyes.
        nose: [2], (x, y) of the nose's tip.
    """
    across = eyes[1] - eyes[0]
    off = float((nose - eyes.mean(axis=0)) @ across) / max(float(across @ across), 1e-9)
    return next(name for name, limit in YAW_LIMITS if abs(off) < limit)


def mouth_bucket(opening: float) -> str:
    """Whether a drawn mouth of that height, in eye distances, is open: ``yes``, ``no`` or, in
    between and for NaN, ``unknown``."""
    return next((name for name, limit in MOUTH_LIMITS if opening < limit), UNKNOWN)


def nearest_colour(part: str, rgb: np.ndarray) -> str:
    """The vocabulary's name nearest in CIE Lab to a measured colour.

    Args:
        part: one of `COLOURS`.
        rgb: [3], 0–255.
    """
    places = [(row.value, place) for row in TABLE if row.attribute == part for place in row.lab]
    offsets = np.array([place for _, place in places], np.float32) - to_lab(rgb)
    offsets = offsets * (LIGHTNESS_WEIGHT, 1, 1)
    return places[int((offsets**2).sum(axis=1).argmin())][0]


def known_or_measured(known: dict[str, str], measured: dict[str, str]) -> dict[str, str]:
    """Attributes from tags, with those that no tag tells taken from ``*_measured``, and
    ``*_from``: ``tag``, ``measured``, or ``unknown`` where neither tells."""
    result = dict(known) | measured
    for name, value in measured.items():
        part = name.removesuffix("_measured")
        told = known[part] != UNKNOWN
        result[part] = known[part] if told else value
        measure = UNKNOWN if value == UNKNOWN else "measured"
        result[f"{part}_from"] = "tag" if told else measure
    return result

"""One attribute vector per face: what both drawing styles draw, and what the labels say of it.

The demo's point is that its truth is known. A `FaceAttributes` is that truth: `photo.py` and
`anime.py` draw the same vector in two styles, and the functions here turn it into the labels
that the real sites would give (CelebA's 40 attributes, booru tags).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np

Domain = Literal["photos", "anime"]

NATURAL_HAIR = ("black", "brown", "blonde", "grey")
ANIME_HAIR = (*NATURAL_HAIR, "red", "blue", "green", "pink", "purple")
# How common they are: as tagged on 6,000 drawn faces, and about as among CelebA's women, but for
# grey, which is rarer there.
ANIME_HAIR_SHARES = (0.13, 0.19, 0.19, 0.09, 0.07, 0.14, 0.05, 0.08, 0.06)
NATURAL_HAIR_SHARES = (0.26, 0.31, 0.31, 0.12)
PHOTO_EYES = ("brown", "blue", "green")
ANIME_EYES = ("brown", "blue", "green", "red", "purple", "yellow")
HAIR_STYLES = ("short", "bob", "long", "ponytail", "twintails")
FRINGES = ("straight", "swept", "parted", "none")
SKIN_TONES = ("pale", "light", "tan", "brown")
BACKGROUNDS = ("plain", "gradient", "bokeh", "bands")

_TAG_DROP_RATE = 0.04  # real taggers forget a tag now and then


@dataclass(frozen=True)
class FaceAttributes:
    """Everything that decides how a face looks.

    Names are the harmonised vocabulary (`hair_colour` in `ANIME_HAIR`, `eye_colour` in
    `ANIME_EYES`). `smile` and `beard` are in [0, 1], `tilt` is in degrees (positive turns the
    head clockwise in the image), hues are in [0, 1). Every other float is a shape or light
    jitter in [-1, 1] whose 0 is the average face. `yaw` > 0 turns the face to the image's right.
    `texture_seed` seeds what has no name of its own: strands, skin grain, lock positions.
    """

    gender: str
    hair_colour: str
    hair_style: str
    fringe: str
    eye_colour: str
    skin_tone: str
    background: str
    glasses: bool
    makeup: bool
    smile: float
    beard: float
    yaw: float
    tilt: float
    background_hue: float
    background_light: float
    clothes_hue: float
    clothes_light: float
    hair_wave: float
    hair_volume: float
    hair_length: float
    hair_shade: float
    parting: float
    fringe_length: float
    face_width: float
    jaw: float
    face_length: float
    eye_size: float
    eye_slant: float
    brow_height: float
    brow_weight: float
    nose_size: float
    mouth_width: float
    lip_fullness: float
    scale: float
    light_side: float
    light_height: float
    exposure: float
    texture_seed: int

    @property
    def smiles(self) -> bool:
        """Whether the label says "smiling" (`smile` is drawn so that none is near 0.5)."""
        return self.smile >= 0.5


_NAMED = {"smile", "beard", "tilt", "background_hue", "clothes_hue", "texture_seed"}
_JITTER = tuple(
    f.name for f in fields(FaceAttributes) if f.type == "float" and f.name not in _NAMED
)
# What a person keeps from one photo to the next; the rest belongs to the moment.
_IDENTITY = (
    *("gender", "hair_colour", "eye_colour", "skin_tone", "makeup", "hair_wave", "hair_shade"),
    *("face_width", "jaw", "face_length", "eye_size", "eye_slant", "brow_height", "brow_weight"),
    *("nose_size", "mouth_width", "lip_fullness"),
)


def sample_faces(
    n: int, seed: int, domain: Domain, *, female_share: float = 0.75
) -> list[FaceAttributes]:
    """`n` faces for one domain; face i depends on (seed, domain, i) only.

    Photos have natural hair and eyes, anime faces have the wider palette. `female_share` in
    [0, 1] is the expected share of women.
    """
    stream = get_args(Domain).index(domain)
    return [
        _sample(np.random.default_rng([seed, stream, i]), domain, female_share) for i in range(n)
    ]


def _sample(rng: np.random.Generator, domain: Domain, female_share: float) -> FaceAttributes:
    female = rng.random() < female_share
    anime = domain == "anime"
    styles = (0.12, 0.24, 0.40, 0.14, 0.10) if anime else (0.12, 0.28, 0.44, 0.16, 0.0)
    fringes = (0.36, 0.34, 0.30, 0.0) if anime else (0.18, 0.30, 0.34, 0.18)
    if not female:
        styles, fringes = (0.86, 0.10, 0.04, 0.0, 0.0), (0.12, 0.36, 0.12, 0.40)
        if anime:
            fringes = (0.25, 0.45, 0.30, 0.0)
    skins = (0.25, 0.55, 0.15, 0.05) if anime else (0.25, 0.40, 0.20, 0.15)
    skin = _pick(rng, SKIN_TONES, skins)
    hairs: Sequence[str] = ANIME_HAIR if anime else NATURAL_HAIR
    shares: Sequence[float] = ANIME_HAIR_SHARES if anime else NATURAL_HAIR_SHARES
    if not anime and skin == "brown":
        shares = (0.4, 0.4, 0.0, 0.2)
    smiles = rng.random() < 0.5
    jitter = {name: float(rng.uniform(-1, 1)) for name in _JITTER}
    jitter["yaw"] *= abs(jitter["yaw"]) ** 0.5  # most people look at the camera
    return FaceAttributes(
        gender="female" if female else "male",
        hair_colour=_pick(rng, hairs, shares),
        hair_style=_pick(rng, HAIR_STYLES, styles),
        fringe=_pick(rng, FRINGES[: len(fringes)], fringes),
        eye_colour=_pick(rng, ANIME_EYES if anime else PHOTO_EYES),
        skin_tone=skin,
        background=_pick(rng, BACKGROUNDS),
        glasses=bool(rng.random() < 0.12),
        makeup=bool(female and rng.random() < 0.7),
        smile=float(rng.uniform(0.7, 1.0) if smiles else rng.uniform(0.0, 0.2)),
        beard=float(rng.uniform(0.3, 1.0)) if not female and rng.random() < 0.45 else 0.0,
        tilt=float(np.clip(rng.normal(0, 4), -9, 9)),
        background_hue=float(rng.random()),
        clothes_hue=float(rng.random()),
        texture_seed=int(rng.integers(2**31)),
        **jitter,
    )


def _pick(rng: np.random.Generator, names: Sequence[str], p: Sequence[float] | None = None) -> str:
    return names[int(rng.choice(len(names), p=p))]


def same_person(person: FaceAttributes, moment: FaceAttributes) -> FaceAttributes:
    """`moment`'s pose, light, place and hairdo with `person`'s gender, colours and face shape.

    A woman's hairdo changes between photos, a man keeps his: a beard or a long fringe from a
    stranger of the other gender would look odd.
    """
    kept = {name: getattr(person, name) for name in _IDENTITY}
    if person.gender == "male" or moment.gender != person.gender:
        kept |= {name: getattr(person, name) for name in ("beard", "hair_style", "fringe")}
    return replace(moment, **kept)


CELEBA_ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs"),
    *("Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair"),
    *("Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair"),
    *("Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings"),
    *("Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
)


def celeba_labels(face: FaceAttributes) -> dict[str, int]:
    """CelebA's 40 labels, each 1 or -1, in the official order (Liu et al. 2015).

    What the drawing has no sign of (hats, jewellery, ...) is -1.
    """
    male = face.gender == "male"
    true = {
        "5_o_Clock_Shadow": 0 < face.beard < 0.6,
        "Arched_Eyebrows": not male and face.brow_height > 0.3,
        "Bangs": face.fringe in ("straight", "swept"),
        "Big_Lips": face.lip_fullness > 0.5,
        "Big_Nose": face.nose_size > 0.5,
        "Black_Hair": face.hair_colour == "black",
        "Blond_Hair": face.hair_colour == "blonde",
        "Brown_Hair": face.hair_colour == "brown",
        "Gray_Hair": face.hair_colour == "grey",
        "Bushy_Eyebrows": face.brow_weight > 0.5,
        "Chubby": face.face_width > 0.7,
        "Eyeglasses": face.glasses,
        "Goatee": face.beard >= 0.6,
        "Heavy_Makeup": face.makeup,
        "High_Cheekbones": face.smiles,
        "Male": male,
        "Mouth_Slightly_Open": face.smiles,
        "Mustache": face.beard >= 0.6,
        "Narrow_Eyes": face.eye_size < -0.6,
        "No_Beard": face.beard == 0,
        "Oval_Face": face.jaw < -0.2,
        "Pale_Skin": face.skin_tone == "pale",
        "Rosy_Cheeks": face.makeup and face.skin_tone in ("pale", "light"),
        "Smiling": face.smiles,
        "Straight_Hair": face.hair_wave <= 0,
        "Wavy_Hair": face.hair_wave > 0,
        "Wearing_Lipstick": face.makeup,
        "Young": face.hair_colour != "grey",
    }
    return {name: 1 if true.get(name, False) else -1 for name in CELEBA_ATTRIBUTES}


def booru_tags(faces: Sequence[FaceAttributes], seed: int) -> list[str]:
    """Sorted general tags of a page with these characters, in danbooru's vocabulary.

    Each attribute tag is left out with a probability of 4 %. The head count (`1girl`, `2boys`,
    ...) always stays: every real post has it.
    """
    rng = np.random.default_rng([seed, 0xB0])
    girls = sum(face.gender == "female" for face in faces)
    counted = [_count_tag(girls, "girl"), _count_tag(len(faces) - girls, "boy")]
    tags = {tag for face in faces for tag in _face_tags(face)}
    tags.add("solo" if len(faces) == 1 else "multiple_characters")
    kept = [tag for tag in sorted(tags) if rng.random() >= _TAG_DROP_RATE]
    return sorted([*kept, *filter(None, counted)])


def _count_tag(n: int, noun: str) -> str | None:
    return None if n == 0 else f"1{noun}" if n == 1 else f"{n}{noun}s"


def _face_tags(face: FaceAttributes) -> list[str]:
    tags = [f"{face.hair_colour}_hair", f"{face.eye_colour}_eyes"]
    tags += {
        "short": ["short_hair"],
        "bob": ["bob_cut", "short_hair"],
        "long": ["long_hair"],
        "ponytail": ["long_hair", "ponytail"],
        "twintails": ["long_hair", "twintails"],
    }[face.hair_style]
    tags += {"straight": ["blunt_bangs"], "swept": ["swept_bangs"], "parted": ["parted_bangs"]}.get(
        face.fringe, []
    )
    tags += ["smile"] if face.smiles else ["closed_mouth"]
    tags += ["glasses"] if face.glasses else []
    tags += ["dark_skin"] if face.skin_tone == "brown" else []
    if abs(face.yaw) < 0.4:
        tags.append("looking_at_viewer")
    return tags

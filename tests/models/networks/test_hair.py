"""What hair is called and what colour it is to have, learned from thumbnails and labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from models.checkpoint import load_translator, save_translator
from models.data.augment import to_float
from models.data.colours import thumbnail
from models.data.domain import Domain
from models.domains import DIRECTIONS
from models.networks.hair import (
    FACE,
    LEAST,
    NAMES,
    HairColours,
    HairMatch,
    crown,
    hair_shares,
    mean_colour,
)
from models.networks.palette import Palette
from models.training.engine import train
from pipeline.imaging.attributes import TABLE
from tests.models.helpers import settings, variant

SIZE = 16  # two pixels a cell
PHOTO = {"black": (50, 40, 35), "blonde": (150, 120, 80)}
DRAWN = {"black": (20, 20, 25), "blonde": (250, 220, 130), "blue": (60, 90, 220)}
NEAR = 0.06  # of 2: what half a grey level and the other cells' noise leave


def heads(colours: dict[str, tuple[int, int, int]], count: int = 30, seed: int = 0) -> Domain:
    """`count` images of each name: hair above and at the sides, skin, and shoulders of any colour.

    Hair is lighter or darker by chance, as it is in light of any kind.
    """
    random = torch.Generator().manual_seed(seed)
    images, names = [], []
    for name, colour in colours.items():
        for _ in range(count):
            light = int(torch.randint(-12, 13, (1,), generator=random))
            image = torch.tensor(colour)[:, None, None].repeat(1, SIZE, SIZE) + light
            image[:, 4:12, 4:12] = torch.tensor((220, 190, 170))[:, None, None]
            image[:, 12:] = torch.randint(0, 256, (3, 1, 1), generator=random)
            images.append(image.clamp(0, 255).to(torch.uint8))
            names.append(name)
    ids = [str(i) for i in range(len(names))]
    return Domain(torch.stack(images), ids, pd.DataFrame({"hair": names}))


def seen(domain: Domain) -> Tensor:
    return thumbnail(to_float(domain.images))


def learned(domain: Domain) -> HairColours:
    colours = HairColours(persistent=False)
    colours.fit(seen(domain), list(domain.labels["hair"]))
    return colours


def fitted(photos: Domain, anime: Domain) -> Palette:
    palette = Palette()
    palette.fit({"photos": photos, "anime": anime}, variant("cyclegan", flip=False))
    return palette


def flat(colour: tuple[int, int, int]) -> Tensor:
    """Luma and chroma of one colour, [3]."""
    image = torch.tensor(colour, dtype=torch.uint8)[None, :, None, None]
    return thumbnail(to_float(image.repeat(1, 1, SIZE, SIZE)))[0, :, 0, 0]


def test_names_are_told_on_pictures_that_it_has_not_learned():
    colours, fresh = learned(heads(DRAWN)), heads(DRAWN, seed=1)
    told = [NAMES[i] for i in colours.likely(seen(fresh)).argmax(1)]
    right = sum(a == b for a, b in zip(told, fresh.labels["hair"], strict=True))
    assert right > 0.95 * len(told)


def test_every_name_has_its_colour():
    colours = learned(heads(DRAWN))
    assert colours.known.tolist() == [float(name in DRAWN) for name in NAMES]
    for name, colour in DRAWN.items():
        told = colours.colours[NAMES.index(name)]
        torch.testing.assert_close(told, flat(colour), rtol=0, atol=NEAR)


def test_names_are_those_of_labels():
    assert {row.value for row in TABLE if row.attribute == "hair"} == set(NAMES)


@pytest.mark.parametrize("back", [False, True])
def test_hair_is_to_have_the_colour_of_its_name_in_the_other_domain(back: bool):
    """Also where the first rule alone would not ask for it: drawings differ by far more."""
    photos, anime = heads(PHOTO), heads(DRAWN)
    domains = {"photos": (photos, PHOTO), "anime": (anime, DRAWN)}
    source, target = ("anime", "photos") if back else ("photos", "anime")
    wanted = fitted(photos, anime).wanted(to_float(domains[source][0].images), source)
    shares = hair_shares(seen(domains[source][0]))
    labels = domains[source][0].labels["hair"]
    for name, colour in PHOTO.items():
        asked = mean_colour(wanted, shares)[torch.tensor((labels == name).tolist())].mean(0)
        there = domains[target][1].get(name, colour)
        torch.testing.assert_close(asked, flat(there), rtol=0, atol=NEAR)


def test_an_unlabelled_photo_gets_the_colour_of_its_likeliest_name():
    photos, anime = heads(PHOTO), heads(DRAWN)
    fresh = heads(PHOTO, count=5, seed=9)
    wanted = fitted(photos, anime).wanted(to_float(fresh.images), "photos")
    asked = mean_colour(wanted, hair_shares(seen(fresh)))
    torch.testing.assert_close(asked[:5].mean(0), flat(DRAWN["black"]), rtol=0, atol=NEAR)
    torch.testing.assert_close(asked[5:].mean(0), flat(DRAWN["blonde"]), rtol=0, atol=NEAR)


def unnamed(domain: Domain, *names: str) -> Domain:
    """The same images, their hair `unknown`, or all but the given names."""
    hair = domain.labels["hair"].where(domain.labels["hair"].isin(names), "unknown")
    return Domain(domain.images, domain.ids, pd.DataFrame({"hair": hair}))


def test_a_name_that_the_other_domain_lacks_adds_nothing():
    photos, anime = heads(PHOTO), heads(DRAWN)
    blue = to_float(anime.images[-5:])
    with_names = fitted(photos, anime).wanted(blue, "anime")
    without = fitted(unnamed(photos), unnamed(anime)).wanted(blue, "anime")
    torch.testing.assert_close(with_names, without, rtol=0, atol=0.01)


@pytest.mark.parametrize(
    "photos",
    [
        unnamed(heads(PHOTO)),
        unnamed(heads(PHOTO), "black"),
        heads(PHOTO, count=LEAST - 1),
        Domain(heads(PHOTO).images, heads(PHOTO).ids, pd.DataFrame(index=range(60))),
        heads({"red": (200, 60, 40), "pink": (250, 150, 200)}),
    ],
    ids=["unknown", "one name", "few", "no column", "no name in common"],
)
def test_without_names_in_common_colours_are_as_light_as_among_the_domain(photos: Domain):
    anime = heads(DRAWN)
    plain = fitted(unnamed(photos), unnamed(anime)) if "hair" in photos.labels else None
    wanted = fitted(photos, anime).wanted(to_float(photos.images), "photos")
    assert wanted.isfinite().all()
    if plain:
        assert torch.equal(wanted, plain.wanted(to_float(photos.images), "photos"))


def test_only_cells_beside_the_face_of_the_crowns_colour_are_hair():
    image = seen(heads({"black": (20, 20, 25)}, count=1))
    image[:, :, :4, 0] = torch.tensor([0.8, 0, 0])[:, None]  # a light wall
    shares = hair_shares(image)[0, 0]
    assert shares[:2, 1:].min() > 0.9
    assert shares[:4, 0].max() < 0.01
    assert shares[FACE].max() == 0 and shares[6:].max() == 0


def test_a_picture_of_noise_has_a_finite_colour():
    cells = torch.rand(4, 3, 8, 8) * 2 - 1
    assert mean_colour(cells, hair_shares(cells)).isfinite().all()
    assert mean_colour(cells, torch.zeros(4, 1, 8, 8)).eq(0).all()


def test_the_crown_is_the_median_of_its_cells():
    cells = torch.rand(5, 3, 8, 8)
    median = cells[:, :, 0:2, 1:7].flatten(2).median(2).values
    assert torch.equal(crown(cells), median)


def matched(photos: Domain, anime: Domain) -> HairMatch:
    palette, match = fitted(photos, anime), HairMatch()
    match.take(palette.hair_of("photos"), palette.hair_of("anime"))
    return match


def test_drawn_hair_is_shifted_to_the_colour_of_the_photos_and_nothing_else_is():
    match = matched(heads(PHOTO), heads(DRAWN))
    photos = to_float(heads({"blonde": PHOTO["blonde"]}, count=8, seed=4).images)
    brown = heads({"brown": (120, 80, 50)}, count=8, seed=5)
    drawn = to_float(brown.images)
    shown = match(drawn, photos)
    assert shown.shape == drawn.shape and shown.abs().max() <= 1
    now = thumbnail(shown)
    hair_now = mean_colour(now, hair_shares(now)).mean(0)
    torch.testing.assert_close(hair_now, flat(DRAWN["blonde"]), rtol=0, atol=NEAR)
    skin = (slice(None), slice(None), slice(8, 12), slice(4, 12))
    torch.testing.assert_close(shown[skin], drawn[skin], rtol=0, atol=0.02)


def test_where_no_name_is_known_a_translation_stays_as_it_is():
    drawn, photos = (torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(2))
    unlabelled = matched(unnamed(heads(PHOTO)), heads(DRAWN))
    for match in (HairMatch(), unlabelled):
        torch.testing.assert_close(match(drawn, photos), drawn)


def test_a_variant_that_matches_hair_keeps_what_it_learned_when_saved(tmp_path: Path):
    photos, anime = heads(PHOTO), heads(DRAWN)
    spec = variant("cyclegan", match_hair=True, flip=False)
    asked = settings(image_size=SIZE, budget_images=4)
    held = photos.take(range(2)), anime.take(range(2))
    trained = train(spec, asked, photos, anime, held).translator
    save_translator(tmp_path, trained, "key", 4)
    loaded = load_translator(tmp_path, "cpu")
    known = loaded.network.hair
    assert known.photos.known.sum() == 2 and known.anime.known.sum() == 3
    there, back = (trained.translate(photos.images[:4], way) for way in DIRECTIONS)
    for hair, same in ((known, True), (None, False)):
        loaded.network.hair = hair
        assert torch.equal(loaded.translate(photos.images[:4], "photos2anime"), there) is same
        assert torch.equal(loaded.translate(photos.images[:4], "anime2photos"), back)


def test_numbers_survive_half_precision():
    colours = learned(heads(DRAWN))
    for value in colours.buffers():
        assert value.half().isfinite().all()
    fresh = seen(heads(DRAWN, seed=1))
    sure = colours.likely(fresh)
    for buffer in colours.buffers():
        buffer.copy_(buffer.half().float())
    torch.testing.assert_close(colours.likely(fresh), sure, rtol=0, atol=0.05)

"""What hair is called and what colour it is to have, learned from thumbnails and labels."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import Tensor

from models.data.augment import to_float
from models.data.domain import Domain
from models.networks.hair import FACE, LEAST, HairColours, hair_shares, mean_colour
from models.networks.palette import Palette, thumbnail
from tests.models.helpers import variant

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
    colours = HairColours()
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
    told = [colours.names[i] for i in colours.likely(seen(fresh)).argmax(1)]
    right = sum(a == b for a, b in zip(told, fresh.labels["hair"], strict=True))
    assert right > 0.95 * len(told)


def test_every_name_has_its_colour():
    colours = learned(heads(DRAWN))
    assert colours.names == ["black", "blonde", "blue"]
    for name, colour in zip(colours.names, colours.colours, strict=True):
        torch.testing.assert_close(colour, flat(DRAWN[name]), rtol=0, atol=NEAR)


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

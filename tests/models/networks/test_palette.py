"""Colours of one domain, told in those of the other."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import Tensor

from models.data.augment import to_float
from models.data.colours import thumbnail
from models.data.domain import Domain, open_domain
from models.data.light import prepared
from models.networks.palette import FREE, LEAST, LOOKED_AT, MOST, Palette, counted
from tests.models.helpers import domain, variant, write_splits

PLAIN = variant("cyclegan", flip=False)


def greys(values: list[int], size: int = 16) -> Domain:
    """A domain of flat grey images."""
    images = torch.tensor(values, dtype=torch.uint8)[:, None, None, None]
    ids = [str(i) for i in range(len(values))]
    return Domain(images.repeat(1, 3, size, size), ids, pd.DataFrame(index=range(len(values))))


def fitted(photos: Domain, anime: Domain, **changes: object) -> Palette:
    palette = Palette()
    palette.fit({"photos": photos, "anime": anime}, variant("cyclegan", flip=False, **changes))
    return palette


def luma(thumbnails: Tensor) -> Tensor:
    return thumbnails[:, 0].mean((1, 2))


def test_a_thumbnail_tells_luma_and_chroma_and_no_lines():
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 64, 64)
    lines = 0.3 * torch.tensor([1.0, -1.0]).repeat(32)
    y, blue, red_chroma = thumbnail(red + lines)[0, :, 3, 4].tolist()
    assert y == pytest.approx(2 * 0.299 - 1, abs=1e-6)
    assert blue == pytest.approx((-1 - y) / 1.772, abs=1e-6)
    assert red_chroma == pytest.approx(1, abs=1e-3)  # BT.601: the most that there is


def test_the_lightest_photo_becomes_as_light_as_the_lightest_drawing():
    photos, anime = greys([40, 60, 80]), greys([100, 160, 220])
    palette = fitted(photos, anime)
    wanted = palette.wanted(to_float(photos.images), "photos")
    torch.testing.assert_close(wanted, thumbnail(to_float(anime.images)), rtol=0, atol=1e-5)
    back = palette.wanted(to_float(anime.images), "anime")
    torch.testing.assert_close(back, thumbnail(to_float(photos.images)), rtol=0, atol=1e-5)


def test_each_cell_has_a_lightness_of_its_own():
    """Hair that differs is told apart, where skin that is all alike stays the drawings' skin."""
    photos, anime = greys([40, 80]), greys([90, 230])
    anime.images[:, :, 8:] = 200  # the lower half never changes
    wanted = fitted(photos, anime).wanted(to_float(photos.images), "photos")
    above, below = wanted[:, 0, :4], wanted[:, 0, 4:]
    assert (above[1] - above[0]).min() > 1
    assert (below[1] - below[0]).abs().max() <= 2 * LEAST + 1e-6


def test_an_outlier_asks_for_no_lightness_beyond_the_domain():
    photos, anime = greys([100, 102]), greys([120, 140])
    white = to_float(greys([255]).images)
    wanted = fitted(photos, anime).wanted(white, "photos")
    most = (130 + MOST * 10) / 127.5 - 1
    assert luma(wanted).item() == pytest.approx(most, abs=1e-5)


def flat(*colours: tuple[int, int, int]) -> Domain:
    """A domain of images of one colour each."""
    images = torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].repeat(1, 1, 16, 16)
    ids = [str(i) for i in range(len(colours))]
    return Domain(images, ids, pd.DataFrame(index=range(len(colours))))


def test_black_stays_black_where_photos_are_brown_and_drawings_are_of_every_colour():
    """With means and deviations of chroma, as Reinhard et al. have it, it would be blue."""
    photos = flat((20, 20, 20), (120, 80, 50), (200, 160, 90))
    anime = flat((20, 20, 20), (200, 60, 60), (60, 200, 60), (60, 60, 200))
    wanted = fitted(photos, anime).wanted(to_float(photos.images), "photos")
    assert wanted[0, 1:].abs().max() < 1e-6
    photo = thumbnail(to_float(photos.images))
    gain = wanted[1:, 1:] / photo[1:, 1:]
    assert gain.min() > 1 and gain.max() - gain.min() < 1e-4  # more colourful, of the same hue


def test_nothing_is_asked_where_a_fringe_may_cover_a_forehead():
    thumbnails = torch.zeros(2, 3, 8, 8)
    thumbnails[:, :, *FREE] = 1
    assert counted(thumbnails).shape == (2, 3, 56)
    assert counted(thumbnails).sum() == 0


def test_before_it_is_fitted_it_asks_for_the_colours_there_are():
    images = to_float(domain("photos", 2).images) / 2
    torch.testing.assert_close(Palette().wanted(images, "photos"), thumbnail(images))


def test_photos_are_looked_at_as_training_sees_them():
    photos, anime = domain("photos", 8), domain("anime", 8)
    seen = thumbnail(prepared(to_float(photos.images), "photos", True))
    mean = fitted(photos, anime, match_light=True).photos_luma[0]
    torch.testing.assert_close(mean, seen[:, 0].mean(0), rtol=0, atol=1e-6)
    mirrored = Palette()
    mirrored.fit({"photos": photos, "anime": anime}, variant("cyclegan", flip=True))
    torch.testing.assert_close(
        mirrored.photos_luma, mirrored.photos_luma.flip(2), rtol=0, atol=1e-6
    )


def test_a_large_domain_is_looked_at_evenly():
    half = LOOKED_AT + 1  # of it black, then as many white ones
    large = Domain(
        torch.cat([torch.zeros(half, 3, 8, 8), torch.full((half, 3, 8, 8), 255)]).to(torch.uint8),
        [str(i) for i in range(2 * half)],
        pd.DataFrame(index=range(2 * half)),
    )
    palette = fitted(large, greys([0, 255]))
    assert palette.photos_luma[0].mean().item() == pytest.approx(0, abs=1e-3)
    assert palette.photos_luma[1].mean().item() == pytest.approx(1, abs=1e-3)


def test_streamed_images_give_the_same_colours(tmp_path):
    write_splits(tmp_path, "train")
    streamed = {d: open_domain(tmp_path, "train", d) for d in ("photos", "anime")}
    one, other = Palette(), Palette()
    one.fit(streamed, PLAIN)
    other.fit({d: x.take(range(len(x))) for d, x in streamed.items()}, PLAIN)
    pairs = zip(one.buffers(), other.buffers(), strict=True)
    assert all(torch.equal(streamed, held) for streamed, held in pairs)

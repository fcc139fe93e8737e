"""Picture files of every kind, read by the one reader."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.imaging.images import UnreadableError, read_rgb

RAMP = np.linspace(0, 255, 48).round().astype(np.uint8).reshape(6, 8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def test_grey_of_sixteen_bits_is_scaled_and_not_clipped() -> None:
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read_rgb(encoded(deep, kind))[..., 1], RAMP)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_floats_are_scaled(scale: float) -> None:
    image = Image.fromarray((RAMP / 255 * scale).astype(np.float32))
    np.testing.assert_array_equal(read_rgb(encoded(image, "TIFF"))[..., 0], RAMP)


def test_grey_cmyk_palette_and_transparency() -> None:
    grey = Image.fromarray(RAMP)
    np.testing.assert_array_equal(read_rgb(encoded(grey))[..., 2], RAMP)
    rgb = Image.merge("RGB", [grey, grey, Image.new("L", grey.size, 90)])
    cmyk = read_rgb(encoded(rgb.convert("CMYK"), "TIFF"))
    np.testing.assert_allclose(cmyk, np.asarray(rgb), atol=2)
    clear = rgb.copy()
    clear.putalpha(0)
    assert (read_rgb(encoded(clear)) == 255).all()
    assert read_rgb(encoded(rgb.quantize(9))).shape == (6, 8, 3)


def swapped_profile() -> bytes:
    """An ICC profile in which red is green and green is red."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132])
    places = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def test_a_colour_profile_is_applied_where_it_is_asked_for() -> None:
    red = Image.new("RGB", (4, 3), (250, 20, 30))
    data = encoded(red, icc_profile=swapped_profile())
    np.testing.assert_array_equal(read_rgb(data), np.asarray(red))
    np.testing.assert_allclose(read_rgb(data, managed=True)[0, 0], (20, 250, 30), atol=12)
    plain = encoded(red)
    np.testing.assert_array_equal(read_rgb(plain, managed=True), np.asarray(red))
    broken = encoded(red, icc_profile=b"no profile")
    np.testing.assert_array_equal(read_rgb(broken, managed=True), np.asarray(red))


def test_a_photo_lying_on_its_side_is_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter to the right
    image = Image.fromarray(np.dstack([RAMP] * 3))
    data = encoded(image, exif=exif)
    np.testing.assert_array_equal(read_rgb(data)[..., 0], np.rot90(RAMP, -1))


def test_what_cannot_be_read_is_told() -> None:
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(40)
    with pytest.raises(UnreadableError, match="HEIC picture, which Pillow cannot read"):
        read_rgb(heic)
    with pytest.raises(UnreadableError, match="no image of a known format"):
        read_rgb(b"<html>")
    with pytest.raises(UnreadableError):
        read_rgb(encoded(Image.new("RGB", (300, 300)))[:-200])

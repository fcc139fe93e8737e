"""Picture files of every kind, read by the one reader."""

from __future__ import annotations

import ast
import io
import struct
import subprocess
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from crawl.images import FORMATS, image_format, image_size, pixel_bytes
from crawl.outcomes import FetchError, Outcome
from pipeline.imaging.images import HEIF, UnreadableError, read_picture, read_rgb
from pipeline.imaging.jpeg import checked

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


def test_a_colour_profile_is_applied_unless_the_pixels_are_wanted_as_they_stand() -> None:
    red = Image.new("RGB", (4, 3), (250, 20, 30))
    data = encoded(red, icc_profile=swapped_profile())
    np.testing.assert_array_equal(read_rgb(data, managed=False), np.asarray(red))
    np.testing.assert_allclose(read_rgb(data)[0, 0], (20, 250, 30), atol=12)
    np.testing.assert_array_equal(read_rgb(encoded(red)), np.asarray(red))
    broken = encoded(red, icc_profile=b"no profile")
    np.testing.assert_array_equal(read_rgb(broken), np.asarray(red))


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


NOISE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_of_the_list_is_told_by_its_bytes_and_read(kind: str) -> None:
    data = encoded(Image.fromarray(NOISE), kind)
    assert image_format(data) == kind and image_size(data, 10_000) == (80, 60)
    rgb = read_rgb(data)
    lossless = kind in ("PNG", "BMP", "TIFF")
    assert rgb.shape == NOISE.shape and (not lossless or np.array_equal(rgb, NOISE))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) show\n"


@pytest.mark.parametrize("kind", ["EPS", "PPM", "PCX", "ICO", "TGA", "SGI", "JPEG2000"])
def test_no_other_format_is_opened(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EPS would start Ghostscript, whatever its name is."""
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    data = EPS if kind == "EPS" else encoded(Image.fromarray(NOISE), kind)
    with pytest.raises(UnreadableError, match="no image of a known format"):
        read_rgb(data)
    with pytest.raises(FetchError) as refused:
        image_size(data, 10_000)
    assert refused.value.outcome is Outcome.NOT_AN_IMAGE


def test_every_reader_of_strangers_bytes_names_its_formats() -> None:
    """`Image.open` of bytes tries every format of Pillow's unless it is told."""
    root = Path(__file__).resolve().parents[3]
    for folder in ("crawl", "pipeline/imaging", "pipeline/faces", "pipeline/celeba"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
                    assert "formats" in {keyword.arg for keyword in node.keywords}, path


def claiming(side: int, **options) -> bytes:
    """A small JPEG whose header announces side × side pixels."""
    data = bytearray(encoded(Image.new("RGB", (16, 16), "red"), "JPEG", **options))
    marker = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[marker + 5 : marker + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side", [400, 9999])
def test_a_jpeg_without_the_data_that_it_announces_is_refused(side: int, progressive: bool) -> None:
    with pytest.raises(UnreadableError, match="missing|truncated|too many"):
        read_rgb(claiming(side, progressive=progressive))


@pytest.mark.parametrize("part", [0.5, 0.8, 0.95])
def test_a_jpeg_that_lost_its_end_is_refused_though_its_end_is_marked(part: float) -> None:
    data = encoded(Image.fromarray(NOISE), "JPEG", quality=95)
    with pytest.raises(UnreadableError, match="truncated"):
        read_rgb(data[: int(len(data) * part)] + b"\xff\xd9")


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("thumbnail", [False, True])
def test_a_jpeg_without_the_mark_of_its_end_is_whole(lost: int, thumbnail: bool) -> None:
    inner = encoded(Image.fromarray(NOISE[:8, :8]), "JPEG") if thumbnail else b""
    data = encoded(Image.fromarray(NOISE), "JPEG", quality=95, comment=inner)
    np.testing.assert_array_equal(read_rgb(data[:-lost]), read_rgb(data))
    with pytest.raises(UnreadableError, match="truncated"):
        read_rgb(data[:-200])


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"ftyp" + brand, "HEIC") for brand in HEIF] + [(b"JXL \r\n\x87\n", "JPEG XL")],
)
def test_a_picture_of_a_kind_that_is_not_read_is_named(start: bytes, kind: str) -> None:
    with pytest.raises(UnreadableError, match=f"a {kind} picture, .*save it as JPEG or PNG"):
        read_rgb(b"\0\0\0\x18" + start + bytes(100))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_whole_jpeg_of_any_kind_is_decoded_as_before(mode: str) -> None:
    rng = np.random.default_rng(5)
    for number in range(24):
        height, width = rng.integers(1, 90, 2)
        pixels = rng.integers(0, 256 if number % 2 else 2, (height, width, 3), dtype=np.uint8)
        options = {"quality": 5 + 4 * number, "progressive": number % 3 == 0}
        image = Image.fromarray(pixels).convert(mode)
        data = encoded(image, "JPEG", restart_marker_blocks=number % 4, **options)
        for whole in (data, data + b"what somebody put behind it"):
            read = [Image.open(io.BytesIO(d), formats=["JPEG"]) for d in (checked(whole), data)]
            np.testing.assert_array_equal(*(np.asarray(image) for image in read))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(("side", "kind", "depth"), [(300, 0, 8), (90, 6, 16), (2000, 0, 1)])
def test_a_png_without_the_rows_that_it_announces_is_refused(
    side: int, kind: int, depth: int
) -> None:
    header = struct.pack(">IIBBBBB", side, side, depth, kind, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableError, match="data is missing"):
        read_rgb(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_whole_png_of_any_kind_lacks_nothing(mode: str) -> None:
    for width, height in ((1, 1), (7, 3), (9, 17)):
        image = Image.fromarray(NOISE[:height, :width])
        image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
        assert read_rgb(encoded(image)).shape == (height, width, 3)


def with_chunk(extra: bytes) -> bytes:
    data = encoded(Image.fromarray(NOISE))
    return data[:33] + extra + data[33:]  # after the header


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"tEXt", b"note\0" + b"x" * 3_000_000),
        chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(30_000_000))),
        chunk(b"iCCP", b"p\0\0no zlib"),
        chunk(b"zTXt", b"note\0\0no zlib") * 3,
        b"".join(chunk(b"zTXt", b"n\0\0" + zlib.compress(bytes(900_000))) for _ in range(90)),
    ],
)
def test_a_png_is_read_whatever_stands_beside_its_pixels(extra: bytes) -> None:
    data = with_chunk(extra)
    assert image_size(data, 10_000) == (80, 60)
    np.testing.assert_array_equal(read_rgb(data), NOISE)


def test_what_an_embedded_note_says_is_kept_out_of_the_pixels() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "hello", zip=True)
    np.testing.assert_array_equal(read_rgb(encoded(Image.fromarray(NOISE), pnginfo=info)), NOISE)


def test_the_cap_counts_bytes() -> None:
    deep = cv2.imencode(".png", np.zeros((50, 40, 4), np.uint16))[1].tobytes()
    with Image.open(io.BytesIO(deep), formats=["PNG"]) as image:
        assert pixel_bytes(image) == 50 * 40 * 8
    image_size(deep, 4000)
    with pytest.raises(FetchError, match="of 8 bytes, crawl.max_pixels"):
        image_size(deep, 3999)
    flat = encoded(Image.new("L", (63, 63)))
    with pytest.raises(FetchError, match="63 × 63 pixels, crawl.max_pixels"):
        image_size(flat, 3968)


RATIONALS = [(0, 0), (1, 0), (2**32 - 1, 0)]


@pytest.mark.parametrize("rational", RATIONALS)
def test_an_odd_number_in_exif_is_no_matter(rational: tuple[int, int]) -> None:
    """Orientation 6, and a resolution that is no number."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    entries += struct.pack("<HHII", 0x011A, 5, 1, 38) + struct.pack("<HHII", 0x9999, 77, 9, 9)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 3) + entries + struct.pack("<I", 0)
    data = encoded(Image.fromarray(NOISE), "JPEG", exif=exif + struct.pack("<II", *rational))
    assert read_rgb(data).shape == (80, 60, 3)


def test_damaged_exif_is_no_matter() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40)):
        data = encoded(Image.fromarray(NOISE), "JPEG", exif=exif)
        assert read_rgb(data).shape == NOISE.shape


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_with_something_on_it_is_taken(kind: str) -> None:
    grey = Image.fromarray(np.dstack([np.kron(RAMP, np.ones((8, 8), np.uint8))] * 3))
    blank = [Image.new("RGB", grey.size, colour) for colour in ("white", "black")]
    data = encoded(blank[0], kind, save_all=True, append_images=[blank[1], grey], duration=50)
    assert np.ptp(read_rgb(data)) > 200
    first = encoded(grey, kind, save_all=True, append_images=blank, duration=50)
    assert np.ptp(read_rgb(first)) > 200
    none = encoded(blank[0], kind, save_all=True, append_images=blank[1:], duration=50)
    assert (read_rgb(none) >= 253).all()


@pytest.mark.parametrize("colour", ["white", "black", "red", "#123456"])
def test_a_picture_of_one_colour_is_blank(colour: str) -> None:
    for kind in ("PNG", "JPEG"):
        data = encoded(Image.new("RGB", (40, 30), colour), kind)
        assert read_rgb(data).shape == (30, 40, 3)
        with pytest.raises(UnreadableError, match="blank"):
            read_picture(data)
    np.testing.assert_array_equal(read_picture(encoded(Image.fromarray(NOISE))), NOISE)


def test_wide_gamut_and_print_colours_become_srgb() -> None:
    red = Image.new("RGB", (9, 9), (200, 80, 60))
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    data = encoded(ImageCms.profileToProfile(red, srgb, lab, outputMode="LAB"), "TIFF")
    np.testing.assert_allclose(read_rgb(data)[0, 0], (200, 80, 60), atol=3)
    for kind in ("JPEG", "TIFF"):
        ink = encoded(red.convert("CMYK"), kind, icc_profile=swapped_profile())
        np.testing.assert_allclose(read_rgb(ink)[0, 0], (200, 80, 60), atol=6)  # no print profile

"""Is this an image, and how large? Told from its first bytes and its header, never by decoding.

A PNG of 109 KB can hold 900 megapixels: whoever decodes before looking at the header is out of
memory.
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, PngImagePlugin

from crawl.outcomes import FetchError, Outcome

# What is read, here and by every other reader of pictures, and by which bytes each begins: others
# of Pillow's formats start programs (EPS: Ghostscript) or are no pictures of the web.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp"}
    | {".bmp", ".dib", ".tif", ".tiff", ".avif"}
)
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # for files above 4 GB
    b"MM\0+": "TIFF",
}
_BANDS = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "La": 2, "I;16": 2, "I;16B": 2, "I;16L": 2}
_MOST_BANDS = 4  # bytes of a pixel in memory, of every other mode
_MAX_PROFILE = 8 << 20  # bytes of a PNG's colour profile; a larger one is left out
PngImagePlugin.MAX_TEXT_CHUNK = _MAX_PROFILE  # Pillow's bound for profiles, too: 1 MiB
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})

# What Pillow raises on files that are damaged, or made to be.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
) + (struct.error, ZeroDivisionError, RuntimeError, MemoryError)


def image_format(data: bytes) -> str | None:
    """Pillow's name of the image type that ``data`` starts as, one of ``FORMATS``, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and {data[8:12], *_brands(data)} & {b"avif", b"avis"}:
        return "AVIF"
    if data[:2] == b"BM" and data[6:10] != bytes(4):  # two letters begin many a text
        return None
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


def _brands(data: bytes) -> list[bytes]:
    """The compatible brands of an ISO base media file, of which AVIF is one."""
    end = min(int.from_bytes(data[:4]), 256)
    return [data[start : start + 4] for start in range(16, end, 4)]


def pixel_bytes(image: Image.Image) -> int:
    """Bytes that the pixels of an opened image take once they are decoded; 16 bits are two."""
    deep = ";16" in str(getattr(image, "tile", "")) and not image.mode.startswith("I")
    return image.width * image.height * _BANDS.get(image.mode, _MOST_BANDS) * (1 + deep)


def opened(data: bytes) -> Image.Image:
    """The image that ``data`` encodes, one of ``FORMATS``; its pixels are not decoded yet.

    Raises FetchError: not_an_image, or too_large for what Pillow takes for a bomb.
    """
    kind = image_format(data)
    if kind is None:
        reason = f"starts with {data[:12]!r}" if data else "it is empty"
        raise FetchError(Outcome.NOT_AN_IMAGE, reason)
    try:
        return Image.open(io.BytesIO(_lean(data) if kind == "PNG" else data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise FetchError(Outcome.TOO_LARGE, str(error)) from None
    except BROKEN as error:
        # Pillow's message names a memory address, which would differ from run to run.
        reason = f"its {kind} header cannot be read ({type(error).__name__})"
        raise FetchError(Outcome.NOT_AN_IMAGE, reason) from None


def image_size(data: bytes, max_pixels: int) -> tuple[int, int]:
    """(width, height) in pixels from the header of ``data``, an encoded image.

    Raises FetchError: not_an_image, or too_large when it has more than ``max_pixels`` of four
    bytes each, or as many bytes in fewer pixels.
    """
    with opened(data) as image:
        width, height = image.size
        size = pixel_bytes(image)
    deep = f" of {size // (width * height)} bytes" if width * height <= max_pixels else ""
    if deep == "" or size > max_pixels * _MOST_BANDS:
        raise FetchError(
            Outcome.TOO_LARGE,
            f"{width} × {height} pixels{deep}, crawl.max_pixels is {max_pixels:,}",
        )
    return width, height


def _lean(png: bytes) -> bytes:
    """A PNG without texts, which are no pixels and may be of any size, and without a colour profile
    that is too large to be one.
    """
    parts, start = [png[:8]], 8
    while start + 8 <= len(png):
        kind, end = png[start + 4 : start + 8], start + 12 + int.from_bytes(png[start : start + 4])
        if kind == b"IDAT":
            break
        if kind not in _TEXTS and not (kind == b"iCCP" and _is_bomb(png[start + 8 : end - 4])):
            parts.append(png[start:end])
        start = end
    return png if sum(map(len, parts)) == start else b"".join((*parts, png[start:]))


def _is_bomb(profile: bytes) -> bool:
    """Whether the body of an iCCP chunk unpacks to more than a profile has."""
    packed = profile.partition(b"\0")[2][1:]
    try:
        return len(zlib.decompressobj().decompress(packed, _MAX_PROFILE + 1)) > _MAX_PROFILE
    except zlib.error:
        return True

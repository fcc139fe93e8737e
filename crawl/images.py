"""Is this an image, and how large? Told from its first bytes and its header, never by decoding.

A PNG of 109 KB can hold 900 megapixels: whoever decodes before looking at the header is out of
memory.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

from crawl.outcomes import FetchError, Outcome

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})


def image_format(data: bytes) -> str | None:
    """Pillow's name of the image type that ``data`` starts as, one of ``FORMATS``, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def image_size(data: bytes, max_pixels: int) -> tuple[int, int]:
    """(width, height) in pixels from the header of ``data``, an encoded image.

    Raises FetchError: not_an_image, or too_large when width × height is above ``max_pixels``.
    """
    kind = image_format(data)
    if kind is None:
        raise FetchError(Outcome.NOT_AN_IMAGE, f"starts with {data[:12]!r}")
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise FetchError(Outcome.TOO_LARGE, str(error)) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        # Pillow's message names a memory address, which would differ from run to run.
        reason = f"its {kind} header cannot be read ({type(error).__name__})"
        raise FetchError(Outcome.NOT_AN_IMAGE, reason) from None
    if width * height > max_pixels:
        raise FetchError(
            Outcome.TOO_LARGE,
            f"{width} × {height} pixels, crawl.max_pixels is {max_pixels:,}",
        )
    return width, height

"""Reading image files that came from outside: all of it, upright, on white, or a clear refusal."""

from __future__ import annotations

import hashlib
import io
import warnings

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from pipeline.core.errors import StageError

MAX_PIXELS = 100_000_000  # a 109 KB PNG can unpack to 900 million pixels
# How files of the HEIF family begin, from the fifth byte on; Pillow reads some of them.
HEIF = {b"ftyp" + brand: "HEIC" for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")}
HEIF |= {b"ftypavif": "AVIF", b"ftypavis": "AVIF"}


class UnreadableError(StageError):
    """A file that no picture can be read from; says why."""


def read_rgb(data: bytes, *, managed: bool = False) -> np.ndarray:
    """RGB uint8 [H, W, 3] of an image file's bytes.

    Unlike OpenCV, Pillow tells the size before it decodes and refuses a file that is cut short.
    EXIF rotation is applied, transparency is laid on white, and 16 bits are scaled to 8.

    Args:
        data: the file.
        managed: whether an embedded ICC profile is applied, so that the colours are sRGB.

    Raises UnreadableError with the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, palettes with transparency
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableError(f"{image.width}×{image.height} pixels are too many")
                return np.asarray(_flatten(ImageOps.exif_transpose(image), managed))
    except UnidentifiedImageError:  # its message names a memory address: other bytes each run
        if kind := HEIF.get(data[4:12]):
            raise UnreadableError(
                f"a {kind} picture, which Pillow cannot read here: save it as JPEG or PNG"
            ) from None
        raise UnreadableError("no image of a known format") from None
    except (OSError, ValueError, SyntaxError, IndexError, Image.DecompressionBombError) as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from None


def central_square(rgb: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of uint8 [H, W, 3], at ``size``: uint8 [size, size, 3].

    Area averages where it shrinks, which does not alias, and cubic where it grows.
    """
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = rgb[top : top + side, left : left + side]
    way = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    return cv2.resize(square, (size, size), interpolation=way)


def pixel_id(rgb: np.ndarray) -> str:
    """Hex sha256 of an image's pixels: equal for equal pictures, however they were encoded."""
    return hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest()


def _flatten(image: Image.Image, managed: bool) -> Image.Image:
    profile = image.info.get("icc_profile") if managed else None
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if profile and (converted := _in_srgb(image, profile)):
        return converted
    return image.convert("RGB")


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """uint8 [H, W] of 16 bits, in whatever type Pillow has them, or of floats from 0 to 1."""
    most, high = float(np.nanmax(grey)), 1.0 if grey.dtype.kind == "f" else 65535.0
    if most > high or (grey.dtype.itemsize > 2 and 1 < most < 256):
        high = 255.0  # what is wider than 16 bits does not tell: small whole numbers are 8 bits
    return np.round(np.clip(np.nan_to_num(grey / high), 0, 1) * 255).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture with its ICC profile applied; None where they do not fit together."""
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    try:
        return ImageCms.profileToProfile(
            image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None

"""Reading image files that came from outside: all of it, upright, on white, or a clear refusal."""

from __future__ import annotations

import hashlib
import io
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.core.errors import StageError

MAX_PIXELS = 100_000_000  # a 109 KB PNG can unpack to 900 million pixels


class UnreadableError(StageError):
    """A file that no picture can be read from; says why."""


def read_rgb(data: bytes) -> np.ndarray:
    """RGB uint8 [H, W, 3] of an image file's bytes.

    Unlike OpenCV, Pillow tells the size before it decodes and refuses a file that is cut short.
    EXIF rotation is applied and transparency is laid on white. Raises UnreadableError with the
    reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, palettes with transparency
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableError(f"{image.width}×{image.height} pixels are too many")
                return np.asarray(_flatten(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:  # its message names a memory address: other bytes each run
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


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")

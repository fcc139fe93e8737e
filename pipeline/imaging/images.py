"""Reading image files that came from outside: all of it, upright, on white, or a clear refusal."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from crawl.images import BROKEN, opened, pixel_bytes
from crawl.outcomes import FetchError, Outcome
from pipeline.core.errors import StageError
from pipeline.imaging import png
from pipeline.imaging.jpeg import checked

MAX_BYTES = 400_000_000  # of a decoded picture; a 109 KB PNG can unpack to 900 million pixels
# How pictures begin, from the fifth byte on, that are not read.
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_UNREAD = {b"ftyp" + brand: "HEIC" for brand in HEIF}
_UNREAD[b"JXL \r\n\x87\n"] = "JPEG XL"
FRAMES = 50  # of an animation, of which the first that is not blank is taken
BLANK = 3  # levels of 255 that one colour may vary by
_UPRIGHT = {  # EXIF's orientation: how the picture is turned back
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableError(StageError):
    """A file that no picture can be read from; says why."""


def read_rgb(data: bytes, *, managed: bool = True) -> np.ndarray:
    """RGB uint8 [H, W, 3] of an image file's bytes, of one of `crawl.images.FORMATS`.

    Unlike OpenCV, Pillow tells the size before it decodes and refuses a file that is cut short.
    EXIF rotation is applied, transparency is laid on white, 16 bits are scaled to 8, and of an
    animation the first frame that is not blank is taken.

    Args:
        data: the file.
        managed: whether an embedded ICC profile is applied, so that the colours are sRGB.

    Raises UnreadableError with the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, palettes with transparency
            with opened(checked(data)) as image:
                _refuse_large(image)
                png.check(data)
                return _first_seen(image, managed)
    except FetchError as refused:
        if refused.outcome is Outcome.TOO_LARGE:
            raise UnreadableError(refused.reason) from None
        if kind := _UNREAD.get(data[4:12]):
            raise UnreadableError(
                f"a {kind} picture, which Pillow cannot read here: save it as JPEG or PNG"
            ) from None
        known = "header cannot be read" in refused.reason
        raise UnreadableError(refused.reason if known else "no image of a known format") from None
    except UnidentifiedImageError:  # its message names a memory address: other bytes each run
        raise UnreadableError("no image of a known format") from None
    except BROKEN as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from None


def read_picture(data: bytes) -> np.ndarray:
    """As `read_rgb`, of a picture in which there is something.

    Raises UnreadableError, that it is blank too: pictures of one colour have one hash.
    """
    rgb = read_rgb(data)
    if is_blank(rgb):
        raise UnreadableError("blank: it is all of one colour")
    return rgb


def is_blank(rgb: np.ndarray) -> bool:
    """Whether uint8 [H, W, 3] is all of one colour."""
    return bool((np.ptp(rgb.reshape(-1, 3), axis=0) <= BLANK).all())


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


def _first_seen(image: Image.Image, managed: bool) -> np.ndarray:
    """The first frame of an opened image that is not blank, or the first."""
    first = None
    for frame in _frames(image):
        _refuse_large(frame)
        rgb = np.asarray(_flatten(_upright(frame), managed))
        if first is None:
            first = rgb
        if not is_blank(rgb):
            return rgb
    assert first is not None
    return first


def _refuse_large(image: Image.Image) -> None:
    if pixel_bytes(image) > MAX_BYTES:
        raise UnreadableError(f"{image.width}×{image.height} pixels are too many")


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    """The image itself at each of its first frames; what follows a damaged one is left."""
    yield image
    if image.format == "MPO":  # thumbnails and depth maps follow
        return
    for number in range(1, FRAMES):
        try:
            image.seek(number)
            image.load()
        except BROKEN:  # EOFError: there is no further one
            return
        yield image


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; what else is in there, and how damaged, is no matter."""
    image.load()
    try:
        way = _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except BROKEN:
        return image
    return image.transpose(way) if way is not None else image


def _flatten(image: Image.Image, managed: bool) -> Image.Image:
    profile = image.info.get("icc_profile") if managed else None
    if image.mode == "LAB":
        return _in_srgb(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))) or image
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


def _in_srgb(image: Image.Image, profile: bytes | ImageCms.ImageCmsProfile) -> Image.Image | None:
    """The picture with its ICC profile applied; None where they do not fit together."""
    if image.mode not in ("RGB", "CMYK", "L", "LAB"):
        image = image.convert("RGB")
    stated = io.BytesIO(profile) if isinstance(profile, bytes) else profile
    try:
        return ImageCms.profileToProfile(
            image, stated, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None

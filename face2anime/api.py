"""The public interface: arrays and plain values over what `face2anime translate` is made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.imaging.images import read_rgb
from pipeline.use import faces
from pipeline.use.drawing import Drawer, Network, cut
from pipeline.use.model import BACK, SHIPPED, choose
from pipeline.use.pasting import paste

Pixels: TypeAlias = NDArray[np.uint8]
# A file, the bytes of one, or pixels: uint8 RGB [H, W, 3].
Picture: TypeAlias = "str | PathLike[str] | bytes | Pixels"
LEAST, MOST = 16, 4096  # pixels of a translated face's side


class Error(Exception):
    """What can be mended by who calls: one line that says how."""


@dataclass(frozen=True, eq=False)
class Face:
    """A translated face. Places are in pixels of the picture, (0, 0) the first pixel's centre."""

    picture: Pixels = field(repr=False)  # uint8 RGB [size, size, 3], translated
    before: Pixels = field(repr=False)  # the same of the input: upright, the eyes where they are
    # [2, 2], (x, y) of the image-left and the image-right one; NaN by a model of whole pictures
    eyes: NDArray[np.float64]
    outline: NDArray[np.float64] = field(repr=False)  # [K, 2]; the face is their convex hull
    _place: faces.Face = field(repr=False)


@dataclass(frozen=True, eq=False)
class Translation:
    """What became of a picture."""

    image: Pixels = field(repr=False)  # uint8 RGB [H, W, 3], as it was read
    faces: tuple[Face, ...]  # from left to right
    too_small: tuple[float, ...]  # pixels between the eyes of faces that were left out
    _align: Align = field(repr=False)

    @property
    def face(self) -> Face:
        """The largest face. Raises Error where there is none."""
        if not self.faces:
            small = f" but {len(self.too_small)} too small" if self.too_small else ""
            raise Error(f"no face was found{small}: is one turned to the camera, and large enough?")
        return max(self.faces, key=lambda face: face._place.eye_distance)

    def pasted(self) -> Pixels:
        """The picture with the translated faces in it, their edges soft: uint8 RGB [H, W, 3]."""
        places = [face._place for face in self.faces]
        return paste(self.image, places, [face.picture for face in self.faces], self._align)


class Model:
    """A loaded model; `load` gives one. Several threads may ask it, it works for one at a time."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer

    @property
    def name(self) -> str:
        """Its name, or its folder's."""
        return self._drawer.model.name

    @property
    def image_size(self) -> int:
        """Pixels of a face's side as the model draws it; larger ones are enlarged."""
        return self._drawer.model.align.size

    def __repr__(self) -> str:
        return f"<face2anime.Model {self.name}, {self.image_size} pixels>"

    def translate(
        self, picture: Picture, *, to: Literal["anime", "photo"] = "anime", size: int = 512
    ) -> Translation:
        """Translate all faces of a picture; or its middle square, by a model of whole pictures.

        Args:
            picture: a file, the bytes of one, or uint8 RGB [H, W, 3].
            to: "anime": faces of a photo become drawings; "photo": the other way.
            size: pixels of a translated face's side, 16 to 4096.

        Raises:
            Error: the picture cannot be read, an argument is none of these, or public weights are
                missing. A picture without a face is no error.
        """
        if to not in BACK:
            raise Error(f"to={to!r}: use 'anime' or 'photo'")
        if not LEAST <= size <= MOST:
            raise Error(f"size={size}: use {LEAST} to {MOST} pixels")
        model = self._drawer.model
        _warn(model.warning(to))
        with _plain_errors():
            rgb = _read(picture)
            drawn = self._drawer.draw(rgb, to, size)
            found = drawn.cut.faces
            template = model.template(to)
            square = template.model_copy(update={"size": size})
            before = cut(rgb, [face.eyes for face in found], square)
        translated = tuple(
            Face(after, crop, face.eyes if face.seen else face.eyes * np.nan, face.outline, face)
            for after, crop, face in zip(drawn.pictures, before, found, strict=True)
        )
        return Translation(rgb, translated, tuple(drawn.cut.small), template)


def load(model: str | PathLike[str] = SHIPPED, *, device: str = "auto") -> Model:
    """Load a model.

    Args:
        model: "shipped", the one that comes along; "champion", the winner of `dvc repro`; a variant
            in `checkpoints/`; or a folder. Both winner and variants are looked for in the working
            directory.
        device: as PyTorch names it, "cpu" or "cuda:1" say; "auto": a GPU where there is one.

    Raises:
        Error: there is no such model or device, or the model's files are broken.
    """
    with _plain_errors():
        chosen, instead = choose(fspath(model))
        _warn(instead)
        drawer = Drawer(chosen, network=Network(chosen, device))
        drawer.network.translator()
    return Model(drawer)


def translate(
    picture: Picture,
    *,
    to: Literal["anime", "photo"] = "anime",
    size: int = 512,
    model: str | PathLike[str] = SHIPPED,
) -> Translation:
    """One picture by a model that is loaded for it: see `load` and `Model.translate`."""
    return load(model).translate(picture, to=to, size=size)


def _read(picture: Picture) -> Pixels:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            shape = list(picture.shape)
            raise Error(f"an array must be uint8 RGB [H, W, 3], not {picture.dtype} {shape}")
        if not picture.size:
            raise Error("the picture has no pixel")
        return np.ascontiguousarray(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return read_rgb(bytes(picture))
    if not isinstance(picture, str | PathLike):
        raise Error(f"a picture is a path, bytes or an array, not {type(picture).__name__}")
    try:
        data = Path(picture).read_bytes()
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise Error(f"{picture}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return read_rgb(data)
    except StageError as error:
        raise Error(f"{picture}: {error}") from None


def _warn(line: str) -> None:
    if line:
        warnings.warn(line, stacklevel=3)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The house's errors are no part of the interface; a traceback still shows them."""
    try:
        yield
    except (StageError, ModelError) as error:
        raise Error(str(error)) from error

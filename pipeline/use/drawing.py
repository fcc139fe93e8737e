"""The faces of a picture, translated: what serves models shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from models.domains import DIRECTIONS
from pipeline.core.errors import StageError
from pipeline.imaging.animeface_process import EndlessError
from pipeline.use import faces
from pipeline.use.faces import Face, Finder
from pipeline.use.model import Model
from pipeline.use.translate.prepare import cut

if TYPE_CHECKING:  # torch takes seconds: it is imported when the first face is to be translated
    from models.checkpoint import Translator

DIRECTION = {"anime": "photos2anime", "photo": "anime2photos"}  # what faces become → for models


@dataclass(frozen=True)
class Drawn:
    """The translated faces of a picture."""

    faces: list[Face]  # from left to right
    small: list[float]  # pixels between the eyes of faces that were left out
    pictures: np.ndarray  # uint8 [N, size, size, 3]


class Drawer:
    """A model with what finds faces for it, each loaded when it is first needed.

    Several threads may ask it; it does one picture after the other.
    """

    def __init__(self, model: Model, networks: tuple[Path, Path] | None = None) -> None:
        """``networks``: the files that find faces in photos; None: those of this machine."""
        self.model = model
        self._networks = networks
        self._lock = Lock()
        self._finders: dict[str, Finder] = {}
        self._translator: Translator | None = None

    def draw(self, rgb: np.ndarray, to: str, size: int) -> Drawn:
        """All faces of a picture, translated.

        Args:
            rgb: uint8 [H, W, 3].
            to: "anime", of a photo, or "photo", of a drawing.
            size: pixels of a translated face's side.

        Raises:
            ModelError: the model's files are broken, or public weights are missing.
            StageError: faces cannot be looked for.
        """
        with self._lock:
            try:
                found = self._finder(to)(rgb)
            except EndlessError as error:
                raise StageError(str(error)) from None
            kept = [face for face in found if face.eye_distance >= faces.LEAST]
            small = [face.eye_distance for face in found if face.eye_distance < faces.LEAST]
            if not kept:
                return Drawn([], small, np.empty((0, size, size, 3), np.uint8))
            crops = cut(rgb, [face.eyes for face in kept], self.model.align)
            return Drawn(kept, small, self._drawn(crops, to, size))

    def _drawn(self, crops: np.ndarray, to: str, size: int) -> np.ndarray:
        """uint8 [N, S, S, 3] → uint8 [N, size, size, 3]."""
        import torch  # seconds

        from models.data.augment import channels_last
        from pipeline.imaging.enlarge import enlarge

        self._translator = self._translator or self.model.load()
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        drawn = channels_last(self._translator.translate(images, DIRECTION[to]))
        return enlarge(drawn, size, kind="drawing" if to == "anime" else "photo")

    def _finder(self, to: str) -> Finder:
        domain = DIRECTIONS[DIRECTION[to]][0]
        if domain not in self._finders:
            self._finders[domain] = faces.finder(domain, self._networks)
        return self._finders[domain]

"""One photo after the other: read, find the eyes, align them to the template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.celeba.layout import SIZE, Images
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.imaging import images
from pipeline.imaging.align import align_face
from pipeline.imaging.attributes import UNKNOWN, yaw_bucket

NOTHING = {"problem": "", "reason": "", "id": "", "image": None, "yaw": UNKNOWN, "enlarged": False}
Outcome = dict[str, Any]  # the keys of `NOTHING`, and the file


class Finder(Protocol):
    """A detector of faces, loaded."""

    def landmarks(self, rgb: np.ndarray, known: np.ndarray) -> np.ndarray | None:
        """Five points of a face, float64 [5, 2]; None where it sees none.

        Args:
            rgb: uint8 [H, W, 3].
            known: [P, 2], what was known before looking; NaN: nothing.
        """
        ...


@dataclass(frozen=True)
class Aligner:
    """What a worker needs to know to align photos."""

    found: Images
    align: Align
    kind: str  # celeba.images
    finder: Callable[[], Finder] | None  # loads what finds the eyes, where they are not known

    def __call__(self, chunk: Sequence[tuple[str, np.ndarray]]) -> list[Outcome]:
        """One outcome per photo: its face, or ``problem`` and ``reason``.

        Args:
            chunk: file names, each with what is known of its face before looking: float64 [P, 2].
        """
        finder = self.finder() if self.finder else None
        places = dict(chunk)
        read = self.found.read(list(places))
        outcomes = (
            (file, _corrupt(reason) if reason else self._one(data, places[file], finder))
            for file, data, reason in read
        )
        return [NOTHING | {"file": file} | _named(file, outcome) for file, outcome in outcomes]

    def _one(self, data: bytes, points: np.ndarray, finder: Finder | None) -> Outcome:
        try:
            rgb = images.read_picture(data)
        except StageError as error:
            return _corrupt(str(error))
        size = self.align.size
        if not len(points):
            square = images.central_square(rgb, size)
            return {"face": square, "enlarged": min(rgb.shape[:2]) < size}
        if self.kind == "aligned":
            # Landmarks are in pixels of 178×218; a copy at another size keeps the proportions.
            scale = np.array(rgb.shape[1::-1]) / SIZE
            if abs(scale[0] / scale[1] - 1) > 0.02:
                return _corrupt(f"{rgb.shape[1]}×{rgb.shape[0]} is not as 178×218")
            points = (points + 0.5) * scale - 0.5
        if finder:
            seen = finder.landmarks(rgb, points)
            if seen is None:
                return {"problem": "no_face"}
            points = seen
        distance = float(np.linalg.norm(points[1] - points[0]))
        if distance < 1:
            return _corrupt("both eyes at one place in the landmarks")
        face, border = align_face(rgb, points[:2], self.align)
        if border > self.align.max_border:
            return {"problem": "border"}
        yaw = yaw_bucket(points[:2], points[2]) if len(points) == 5 else UNKNOWN
        return {"face": face, "enlarged": distance < self.align.eye_distance * size, "yaw": yaw}


def _corrupt(reason: str) -> Outcome:
    return {"problem": "corrupt", "reason": reason}


def _named(file: str, outcome: Outcome) -> Outcome:
    """``outcome`` with its face encoded, under the id of its pixels."""
    face = outcome.pop("face", None)
    if face is None:
        return outcome
    image = {"bytes": tables.encode_png(face), "path": file}
    return outcome | {"id": images.pixel_id(face), "image": image}

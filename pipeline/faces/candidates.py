"""Where one look at a picture sees a face, and when two looks mean the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.faces.detect import Detection

# A face's side, as labelled by hand, in sides of what a detector's box is: medians over the faces
# of tests/pipeline/faces/illustration_faces.csv that it finds; the centres agree to 4 % of a side.
FACE_OF_ANIMEFACE, FACE_OF_CASCADE, FACE_OF_CENTER_FACE = 1.05, 0.8, 1.0
SAME = 0.3  # intersection over union from which two candidates are one face


@dataclass(frozen=True)
class Candidate:
    """Where one look sees a face; places in the picture's pixels."""

    centre: np.ndarray  # [2], (x, y)
    side: float  # of the square from fringe to chin
    look: tuple[str, float]  # the detector, and the angle in degrees the picture was turned by
    likelihood: float = 1.0
    face: Detection | None = None  # with eyes and colours, where the detector tells them

    def cut_from(self, rgb: np.ndarray) -> np.ndarray:
        """The square as far as it lies in ``rgb``: uint8 [h, w, 3], at least one pixel."""
        limits = np.array(rgb.shape[1::-1]) - 1
        x, y = np.clip(np.round(self.centre - self.side / 2), 0, limits).astype(int)
        right, bottom = np.clip(np.round(self.centre + self.side / 2), 0, limits).astype(int)
        return rgb[y : bottom + 1, x : right + 1]


def of_animeface(face: Detection) -> Candidate:
    """The square of what animeface found."""
    centre, side = square(np.array(face.box))
    return Candidate(centre, FACE_OF_ANIMEFACE * side, ("animeface", 0.0), face.likelihood, face)


def square(box: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre [2] and side of the square as large as a box [4] of x, y, width and height."""
    return box[:2] + box[2:] / 2, float(np.sqrt(box[2] * box[3]))


def overlap(one: Candidate, other: Candidate) -> float:
    """Intersection over union of two candidates' upright squares, in [0, 1]."""
    reach = (one.side + other.side) / 2 - np.abs(one.centre - other.centre)
    shared = float(np.prod(np.clip(reach, 0, min(one.side, other.side))))
    return shared / (one.side**2 + other.side**2 - shared)


def nearest(seen: Candidate, others: list[Candidate]) -> int | None:
    """Which of ``others`` is the same face as ``seen``: the one that overlaps it most, or None."""
    shares = [overlap(seen, other) for other in others]
    return int(np.argmax(shares)) if shares and max(shares) >= SAME else None

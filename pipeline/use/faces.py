"""The faces of a picture that can be translated: photographed or drawn, from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ModelError
from pipeline.core.params import Align
from pipeline.imaging.align import template_places

LEAST = 12.0  # pixels between the eyes: of less a network guesses
# How drawings are looked at (see `pipeline.faces.detect`): a margin and larger, for tight crops.
DRAWN_LOOK, DRAWN_PAD, DRAWN_ENLARGE = 640, 0.25, 4.0
ELLIPSE = 1.05  # of a drawn face, in sides of the detector's box


@dataclass(frozen=True)
class Face:
    """Places in the picture's pixels, (0, 0) the first pixel's centre."""

    eyes: np.ndarray  # float64 [2, 2], (x, y), the image-left one first
    outline: np.ndarray  # float64 [K, 2]; the face is their convex hull
    seen: bool = True  # False: nobody looked, see `middle`

    @property
    def told_eyes(self) -> list[list[float]] | None:
        """The eyes to a hundredth pixel, for people and JSON; None where nobody looked for them."""
        return np.round(self.eyes, 2).tolist() if self.seen else None

    @property
    def eye_distance(self) -> float:
        """In pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


Finder = Callable[[np.ndarray], list[Face]]  # of uint8 RGB [H, W, 3]


def finder(domain: str, networks: tuple[Path, Path] | None = None) -> Finder:
    """What finds the faces of ``domain`` ("photos" or "anime"); not for several threads.

    ``networks``: the files of CenterFace and of the face mesh; None: those of this machine.

    Raises ModelError where the public weights for photos are missing, and StageError where the
    detector of drawings is blind.
    """
    if domain == "anime":
        return _drawn(networks[0] if networks else _center_face())
    from pipeline.imaging import photo_faces

    photo = photo_faces.QuickFaces(*(networks or photo_faces.weights()))

    def photographed(rgb: np.ndarray) -> list[Face]:
        return _in_order([Face(face.eyes, face.points) for face in photo.find(rgb)])

    return photographed


def _center_face() -> Path | None:
    """Its file on this machine. Who has only drawings need not fetch it."""
    from pipeline.faces import joined

    try:
        return joined.weights()
    except ModelError:
        return None


def middle(shape: Sequence[int], align: Align) -> Face:
    """The largest square in the middle of a picture [H, W, …], as if it were a face.

    Its eyes lie where the template ``align`` has them, so that it is cut out and pasted as one.
    """
    height, width = shape[:2]
    side = min(height, width)
    corner = np.array([(width - side) // 2, (height - side) // 2])
    ends = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    eyes, outline = (corner + side * at - 0.5 for at in (template_places(align), ends))
    return Face(eyes, outline, seen=False)


def _drawn(center_face: Path | None) -> Finder:
    """By both detectors that `pipeline.faces.joined` joins; without CenterFace by animeface."""
    from pipeline.faces import detectors, joined
    from pipeline.faces.detect import Detection, check_detector, detect

    check_detector(DRAWN_LOOK)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    look = (DRAWN_LOOK, DRAWN_PAD, DRAWN_ENLARGE)

    def detections(rgb: np.ndarray) -> list[Detection]:
        if center_face is None:
            return detect(rgb, *look)
        seen = joined.find(rgb, *look, center_face)
        faces = [each.face or detectors.look_closer(rgb, [each]) for each in seen]
        # Rather a doubtful face than none: whoever brings a picture means to have one in it.
        return [face for face in faces if face] or detect(rgb, *look)

    def drawn(rgb: np.ndarray) -> list[Face]:
        faces = []
        for seen in detections(rgb):
            corner, size = np.array(seen.box[:2]), np.array(seen.box[2:])
            outline = corner + size / 2 + circle * size / 2 * ELLIPSE
            faces.append(Face(seen.eyes, outline))
        return _in_order(faces)

    return drawn


def _in_order(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: float(face.eyes[:, 0].mean()))

"""Faces of a photo: CenterFace finds them; the face mesh places their eyes and may say no."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.public.door import weights_file
from pipeline.imaging import mesh
from pipeline.imaging.align import surroundings
from pipeline.imaging.center_face import LIKELY, CenterFace
from pipeline.imaging.mesh import FaceMesh

REACH = 2.5  # of a face around the middle of its eyes, in eye distances: what the mesh looks at
SHARP = 96  # pixels between the eyes that are enough for the mesh: a finer picture would alias
# What `QuickFaces` looks at first, and when it believes that: see there. On 130 photos and 25 with
# many faces it lost none of 196; without `DOUBT` 13.
QUICK, QUICK_MARGIN = 320, 0.06
DOUBT = 0.15  # a place as likely a face as this may be one
SMALL = 24  # pixels of a face's height in that square: where one is so small there may be smaller
MOUTH_CORNERS = list(mesh.MOUTH[:2])


@dataclass(frozen=True)
class PhotoFace:
    """A face; places in pixels of the photo, (0, 0) the first pixel's centre."""

    eyes: np.ndarray  # [2, 2], (x, y), the image-left one first
    points: np.ndarray  # [468, 2], see `pipeline.imaging.mesh`
    likelihood: float  # CenterFace's, in [0, 1]; NaN where only the mesh looked
    mesh_likelihood: float  # in [`mesh.LIKELY`, 1]

    @property
    def landmarks(self) -> np.ndarray:
        """Five points [5, 2] in CelebA's order: eyes, nose, mouth's corners, image-left first."""
        return np.concatenate([self.eyes, self.points[[mesh.NOSE, *MOUTH_CORNERS]]])


def weights() -> tuple[Path, Path]:
    """The files that `PhotoFaces` takes. Raises ModelError, which says how to get them."""
    return weights_file("center_face", use="pictures"), weights_file("face_mesh", use="pictures")


class PhotoFaces:
    """Both networks, loaded; they cannot be sent to another process, their paths can."""

    def __init__(self, center_face: Path, face_mesh: Path) -> None:
        """Raises StageError when a file is not its network."""
        self._finder, self._mesh = CenterFace(center_face), FaceMesh(face_mesh)

    def find(self, rgb: np.ndarray, *, eyes: np.ndarray | None = None) -> list[PhotoFace]:
        """The faces of a photo, the biggest first; 0.2 s on a core, large photos 0.4 s.

        Args:
            rgb: uint8 [H, W, 3], of any size.
            eyes: [2, 2], roughly, where one face's eyes are known. If the mesh sees a face there it
                is the only one told, which takes 10 ms.
        """
        if eyes is not None and (known := self._look(rgb, eyes, float("nan"))):
            return [known]
        found = self._finder.find(rgb)
        faces = [self._look(rgb, each.points[:2], each.likelihood) for each in found]
        return [face for face in faces if face]

    def _look(self, rgb: np.ndarray, eyes: np.ndarray, likelihood: float) -> PhotoFace | None:
        """The face at ``eyes``; None where the mesh sees none."""
        part, corner, scale = surroundings(rgb, np.asarray(eyes, float), REACH, SHARP)
        rough = (eyes - corner + 0.5) * scale - 0.5
        points, likely = self._mesh.find(part[None], rough)
        if likely[0] < mesh.LIKELY:
            return None
        found = (points[0] + 0.5) / scale - 0.5 + corner
        return PhotoFace(mesh.eye_centres(found), found, likelihood, float(likely[0]))


class QuickFaces(PhotoFaces):
    """`PhotoFaces` in a quarter of the time, where a photo's faces are large and plain to see.

    A small square is looked at first. The large ones are, too, when there is no face in it, a small
    one, or a place that may be one. What is lost are far faces, their eyes less than a sixtieth of
    the photo's side apart, beside a near one.
    """

    def __init__(self, center_face: Path, face_mesh: Path) -> None:
        """Raises StageError when a file is not its network."""
        super().__init__(center_face, face_mesh)
        self._quick = CenterFace(center_face, QUICK)

    def find(self, rgb: np.ndarray, *, eyes: np.ndarray | None = None) -> list[PhotoFace]:
        """As `PhotoFaces.find`; 0.05 s on a core as a rule."""
        if eyes is None:
            seen = self._quick.find(rgb, likely=DOUBT, margin=QUICK_MARGIN)
            small = SMALL * max(rgb.shape[:2]) / (QUICK * (1 - 2 * QUICK_MARGIN))
            if seen and all(face.likelihood >= LIKELY and face.box[3] >= small for face in seen):
                faces = [self._look(rgb, each.points[:2], each.likelihood) for each in seen]
                if all(faces):
                    return [face for face in faces if face]
        return super().find(rgb, eyes=eyes)

"""Find the eyes in a photo with public weights, which need no file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.imaging.photo_faces import PhotoFaces


class MeshEyes:
    """CenterFace and the face mesh, loaded. Where the eyes are known roughly, the mesh suffices."""

    def __init__(self, center_face: Path, face_mesh: Path) -> None:
        """Raises StageError when a file is not its network."""
        self._faces = PhotoFaces(center_face, face_mesh)

    def landmarks(self, rgb: np.ndarray, known: np.ndarray) -> np.ndarray | None:
        """Five points of the face nearest to ``known``; None where no face is seen.

        Args:
            rgb: uint8 [H, W, 3].
            known: both eyes [2, 2], or the face's middle [1, 2], as (x, y) in pixels; NaN: the
                biggest face.

        Returns:
            float64 [5, 2], (x, y) in pixels, in CelebA's order.
        """
        faces = self._faces.find(rgb, eyes=known if len(known) == 2 else None)
        if not faces:
            return None
        near = known.mean(axis=0)
        if np.isnan(near).any():
            return faces[0].landmarks
        return min((face.landmarks for face in faces), key=lambda x: np.hypot(*(x[2] - near)))

"""MediaPipe's face mesh (Kartynnik et al. 2019, arXiv:1907.06724): 468 points of a photo's face.

OpenCV runs its ``face_landmark.tflite``, a public file (Apache-2.0) whose path the caller has.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.core.errors import StageError

POINTS = 468
# The network's numbers of some points; right and left are the person's, so right is image-left.
RIGHT_EYE = (33, 133, 159, 145)  # outer and inner corner, upper and lower lid
LEFT_EYE = (263, 362, 386, 374)
NOSE, CHIN = 1, 152
MOUTH = (61, 291, 13, 14)  # right and left corner, inner edge of the upper and the lower lip

LOOK = 192  # pixels of the square it takes. Always the same: OpenCV 4 gives nonsense on a change
SIDE = 3.0  # of that square, and …
DROP = 0.55  # … how far below the eyes its centre lies, both in eye distances
PASSES = 2  # the second starts from the eyes of the first: steadier
LIKELY = 0.5  # the probability below which its points are not believed


class FaceMesh:
    """The loaded network; it cannot be sent to another process, its path can."""

    def __init__(self, model: Path) -> None:
        """Raises StageError when ``model`` is not the network."""
        try:
            self._network = cv2.dnn.readNetFromTFLite(str(model))
        except cv2.error:
            raise StageError(f"{model} is no face mesh that OpenCV reads") from None
        self._outputs = self._network.getUnconnectedOutLayersNames()

    def find(self, images: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mesh of every photo, about 8 ms each on a core, whether or not there is a face.

        Args:
            images: uint8 RGB [N, H, W, 3].
            eyes: roughly, the image-left one first, as (x, y) pixels: [2, 2] for all, or [N, 2, 2].

        Returns:
            Points float64 [N, 468, 2] in pixels, (0, 0) the first pixel's centre, and the
            network's probability [N] that it is a face. Drawings and twisted faces pass, too: it
            tells profiles and covered faces, on which the points are wrong.
        """
        points = np.empty((len(images), POINTS, 2))
        likely = np.empty(len(images))
        rough = np.broadcast_to(np.asarray(eyes, float), (len(images), 2, 2))
        for i, (rgb, pair) in enumerate(zip(images, rough, strict=True)):
            for _ in range(PASSES):
                points[i], likely[i] = self._pass(rgb, pair)
                pair = eye_centres(points[i])
        return points, likely

    def _pass(self, rgb: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, float]:
        matrix = upright_square(eyes)
        border = cv2.BORDER_REPLICATE
        face = cv2.warpAffine(np.ascontiguousarray(rgb), matrix, (LOOK, LOOK), borderMode=border)
        self._network.setInput(cv2.dnn.blobFromImage(face, 1 / 255, (LOOK, LOOK)))
        mesh, logit = sorted(self._network.forward(self._outputs), key=np.size, reverse=True)[:2]
        back = cv2.invertAffineTransform(matrix)
        points = mesh.reshape(-1, 3)[:POINTS, :2].astype(float) @ back[:, :2].T + back[:, 2]
        return points, float(1 / (1 + np.exp(-logit.item())))


def eye_centres(points: np.ndarray) -> np.ndarray:
    """Middles of both eyes [..., 2, 2] of meshes [..., 468, 2], the image-left one first."""
    return np.stack([points[..., eye, :].mean(axis=-2) for eye in (RIGHT_EYE, LEFT_EYE)], axis=-2)


def upright_square(eyes: np.ndarray) -> np.ndarray:
    """The similarity [2, 3] from a picture to the square that the network takes, eyes level.

    Args:
        eyes: [2, 2], (x, y) in pixels, the image-left one first.
    """
    across = eyes[1] - eyes[0]
    distance = max(float(np.hypot(*across)), 1.0)  # where there is no face, eyes may fall together
    down = np.array([-across[1], across[0]])
    cos, sin = across / distance
    turn = np.array([[cos, sin], [-sin, cos]]) * LOOK / (SIDE * distance)
    centre = eyes.mean(axis=0) + DROP * down
    return np.column_stack([turn, (LOOK - 1) / 2 - turn @ centre])

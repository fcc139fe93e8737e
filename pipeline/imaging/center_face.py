"""CenterFace (Xu et al. 2019, arXiv:1911.03599): all faces of a photo, with five points each.

OpenCV runs its ONNX file, a public one (MIT) whose path the caller has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.core.errors import StageError

LOOK = 640  # pixels of the square it takes, as a rule
LIKELY = 0.5  # the likelihood below which a place is no face
# Of that square, left empty on every side: faces that fill a picture are missed without it. A photo
# that does not fit is looked at without it, too: of many small faces 2 were found, or 62.
MARGIN, NO_MARGIN = 0.15, 0.02
STEP = 4  # pixels of the square for each place of the network's maps
OUTPUTS = ("537", "538", "539", "540")  # likelihood, log size, offset, points
OVERLAP = 0.3  # of two boxes (intersection over union) that are one face


@dataclass(frozen=True)
class FaceBox:
    """A face that was found; all in pixels of the photo, (0, 0) the first pixel's centre."""

    box: np.ndarray  # [4], x, y, width, height
    points: np.ndarray  # [5, 2]: eyes, the image-left one first, nose, mouth's corners likewise
    likelihood: float  # in [0, 1]


class CenterFace:
    """The loaded network; it cannot be sent to another process, its path can."""

    def __init__(self, model: Path, look: int = LOOK) -> None:
        """``look``: pixels of the square it takes, a multiple of 32. It stays: OpenCV 4 would
        give nonsense.

        Raises StageError when ``model`` is not the network.
        """
        self.look = look
        try:
            self._network = cv2.dnn.readNetFromONNX(str(model))
        except cv2.error:
            raise StageError(f"{model} is no CenterFace that OpenCV reads") from None

    def find(
        self, rgb: np.ndarray, *, likely: float = LIKELY, margin: float | None = None
    ) -> list[FaceBox]:
        """The faces of a photo of any size, the biggest first.

        By the usual square 0.2 s on a core, and 0.4 s for a photo larger than it.

        Args:
            rgb: uint8 [H, W, 3].
            likely: likelihood below which none counts.
            margin: share of the square that is left empty on every side; None: looks once or twice,
                as it needs to find all.
        """
        margins = (MARGIN, NO_MARGIN) if max(rgb.shape[:2]) > self.look else (MARGIN,)
        margins = margins if margin is None else (margin,)
        looks = [self._look(rgb, margin, likely) for margin in margins]
        scores, boxes, points = map(np.concatenate, zip(*looks, strict=True))
        kept = np.ravel(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), likely, OVERLAP))
        faces = [FaceBox(boxes[i], points[i], float(scores[i])) for i in kept.astype(int)]
        return sorted(faces, key=lambda face: -float(face.box[2] * face.box[3]))

    def _look(
        self, rgb: np.ndarray, margin: float, likely: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Likelihoods [N], boxes [N, 4] and points [N, 5, 2] in pixels of the photo."""
        square, scale, corner = _letterbox(rgb, margin, self.look)
        self._network.setInput(cv2.dnn.blobFromImage(square, 1.0, (self.look, self.look)))
        maps = [output[0] for output in self._network.forward(OUTPUTS)]
        scores, boxes, points = _decode(maps, likely)
        boxes[:, :2] = (boxes[:, :2] - corner + 0.5) / scale - 0.5
        boxes[:, 2:] /= scale
        return scores, boxes, (points - corner + 0.5) / scale - 0.5


def _letterbox(
    rgb: np.ndarray, margin: float, look: int = LOOK
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photo in the middle of a grey square of ``look`` pixels, with a margin.

    Returns:
        The square, its pixels per pixel of the photo [2], and the photo's first pixel in it [2].
    """
    size = np.array(rgb.shape[1::-1])
    inner = np.maximum(np.round(size * look * (1 - 2 * margin) / size.max()), 1).astype(int)
    way = cv2.INTER_AREA if inner.max() < size.max() else cv2.INTER_LINEAR
    x, y = corner = (look - inner) // 2
    square = np.full((look, look, 3), 127, np.uint8)
    square[y : y + inner[1], x : x + inner[0]] = cv2.resize(rgb, inner.tolist(), interpolation=way)
    return square, inner / size, corner


def _decode(maps: list[np.ndarray], likely: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Likelihoods [N], boxes [N, 4] and points [N, 5, 2] in pixels of the square."""
    heat, size, offset, marks = maps
    y, x = np.nonzero(heat[0] >= likely)
    extent = np.exp(size[::-1, y, x].T.astype(float)) * STEP  # width, height
    centre = (np.stack([x, y], axis=1) + offset[::-1, y, x].T + 0.5) * STEP - 0.5
    corner = centre - extent / 2
    shares = marks[:, y, x].T.reshape(-1, 5, 2)[..., ::-1]  # of the box, as (x, y)
    points = corner[:, None] + shares * extent[:, None]
    return heat[0, y, x].astype(float), np.concatenate([corner, extent], axis=1), points

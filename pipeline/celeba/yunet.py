"""Find the eyes in a photo with YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y).

The model is a file of the user's: OpenCV's model zoo has it as ``face_detection_yunet_*.onnx``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.core.errors import StageError

LOOK = 640  # pixels of the longest side at which faces are looked for, at most
MIN_SCORE = 0.6


class Yunet:
    """The loaded model; it cannot be sent to another process, its path can."""

    def __init__(self, model: Path) -> None:
        """Raises StageError when ``model`` is none."""
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), "", (LOOK, LOOK), MIN_SCORE)
        except cv2.error:
            raise StageError(f"celeba.eyes: {model} is no YuNet model that OpenCV reads") from None

    def landmarks(self, rgb: np.ndarray, known: np.ndarray) -> np.ndarray | None:
        """Five points of the face nearest to ``known``; None where it sees none.

        Args:
            rgb: uint8 [H, W, 3].
            known: [P, 2], (x, y) in pixels, around the face's middle; NaN: the image's middle.

        Returns:
            float64 [5, 2], (x, y) in pixels, in CelebA's order: YuNet lists the person's right eye
            and mouth corner first, which are the image's left.
        """
        height, width = rgb.shape[:2]
        scale = min(1.0, LOOK / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        self._detector.setInputSize(size)
        _, faces = self._detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if faces is None:
            return None
        factor = np.array([width, height]) / size
        near = known.mean(axis=0)
        target = np.where(np.isnan(near), (width / 2, height / 2), near)
        middles = (faces[:, :2] + faces[:, 2:4] / 2) * factor
        face = faces[np.linalg.norm(middles - target, axis=1).argmin()]
        return (face[4:14].reshape(5, 2).astype(float) + 0.5) * factor - 0.5

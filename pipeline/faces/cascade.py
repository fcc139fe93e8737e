"""An OpenCV cascade as a face detector; its XML is a file, or is downloaded once and checked."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from crawl.errors import CrawlError
from pipeline.core import downloads, stage
from pipeline.core.errors import StageError

NEIGHBOURS = 2  # raw hits in one place that make a find: few, for other looks must agree as well
MIN_SIDE = 24  # pixels: what a cascade of anime faces is trained at
MAX_BYTES = 50_000_000  # of a cascade's file


def find_squares(rgb: np.ndarray, source: str, sha256: str = "") -> np.ndarray:
    """What the cascade finds upright in ``rgb`` (uint8 [H, W, 3]).

    The method is Viola & Jones 2001, usually with the features of Liao et al. 2007 (LBP).

    Returns float64 [N, 3] of centre x, centre y and side, in pixels, sorted. Raises StageError as
    `local_file` does.
    """
    grey = cv2.equalizeHist(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    boxes = _classifier(source, sha256).detectMultiScale(
        grey, 1.1, NEIGHBOURS, minSize=(MIN_SIDE, MIN_SIDE)
    )
    squares = [(x + (width - 1) / 2, y + (height - 1) / 2, width) for x, y, width, height in boxes]
    return np.array(sorted(squares), float).reshape(-1, 3)


def local_file(source: str, sha256: str = "") -> Path:
    """``source`` itself, or where its download is kept: ``.cache/detectors/<sha256>.xml``.

    Raises StageError when it is missing, cannot be fetched or has another hash.
    """
    if "://" not in source:
        path = Path(source)
        if not source or not path.is_file():
            raise StageError(
                f"faces.cascade: '{source}' is no file, seen from the project's root: give an "
                "OpenCV cascade's XML"
            )
        if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise StageError(f"faces.cascade: {path} does not have the hash faces.cascade_sha256")
        return path
    if len(sha256) != 64:
        raise StageError("faces.cascade_sha256 is needed beside a URL: the file's sha256 in hex")
    path = stage.cache_dir("detectors") / f"{sha256}.xml"
    if not path.is_file():
        try:
            downloads.fetch(source, path, max_bytes=MAX_BYTES, digest=f"sha256:{sha256}")
        except CrawlError as error:
            raise StageError(f"faces.cascade: {error}") from None
    return path


@lru_cache(maxsize=4)
def _classifier(source: str, sha256: str) -> cv2.CascadeClassifier:
    path = local_file(source, sha256)
    try:
        classifier = cv2.CascadeClassifier(str(path))
    except (cv2.error, SystemError):
        classifier = cv2.CascadeClassifier()
    if classifier.empty():
        raise StageError(f"faces.cascade: {path} is no cascade that OpenCV reads")
    return classifier

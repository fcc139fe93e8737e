"""Detectors behind one interface, and how several looks at a picture agree on its faces.

A detector is a function from a picture and the settings to candidates: squares that hold a face
from the fringe to the chin. ``animeface`` gives eyes and colours with them. A ``cascade`` does not,
nor do the boxes that came with the source (``annotated``), nor always ``joined``, which is
animeface with CenterFace's help: there animeface looks again, within the enlarged square, and a
face whose eyes it does not find either is counted, not kept. ``none`` looks
for nothing: the middle of every picture is taken as it is, without eyes, whatever it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from pipeline.core.errors import StageError
from pipeline.core.params import Faces
from pipeline.faces import joined
from pipeline.faces.annotations import boxes_of
from pipeline.faces.candidates import FACE_OF_CASCADE, SAME, Candidate, of_animeface, overlap
from pipeline.faces.cascade import find_squares, local_file
from pipeline.faces.detect import GREY, Detection, detect

ROOM, ROOM_PIXELS = 2.5, 320  # the square in which eyes are looked for: in faces, and in pixels
# How else they are looked for where ``joined`` saw a face: side of the square, and degrees.
FURTHER = ((ROOM, 20.0), (ROOM, -20.0), (2.0, 0.0), (3.0, 0.0))


@dataclass(frozen=True)
class Found:
    """A picture's faces, from left to right, and those whose eyes nobody found."""

    faces: list[Detection]
    no_eyes: list[Candidate]


def find(rgb: np.ndarray, row: Mapping[Any, Any], settings: Faces) -> Found:
    """The faces that at least ``settings.votes`` of the looks agree on.

    A look is a detector, or one of the angles at which the cascade looks. A face takes eyes and
    colours from the likeliest that animeface sees there; where only others saw it, animeface looks
    again, closer.

    Args:
        rgb: uint8 [H, W, 3].
        row: the picture's raw row; ``annotated`` finds its boxes by ``id``, ``url`` or ``md5``.

    Raises StageError when a detector's files cannot be read.
    """
    names = settings.detectors
    candidates = [seen for name in names for seen in DETECTORS[name](rgb, row, settings)]
    # Two overlapping finds of one look stay two, as animeface alone has always given them.
    groups = _groups(candidates) if names != ("animeface",) else [[seen] for seen in candidates]
    faces, no_eyes = [], []
    for group in groups:
        if len({seen.look for seen in group}) < settings.votes:
            continue
        face = next((seen.face for seen in group if seen.face), None) or look_closer(rgb, group)
        if face:
            faces.append(face)
        else:
            no_eyes.append(group[0])
    return Found(sorted(faces, key=lambda face: face.box), no_eyes)


def check_settings(settings: Faces) -> None:
    """Read what the detectors need, once, before any work. Raises StageError on a mistake."""
    names = settings.detectors
    if "none" in names and len(names) > 1:
        raise StageError("faces.detector: none takes every picture whole: name it alone")
    if "cascade" in names:
        local_file(settings.cascade, settings.cascade_sha256)
    if "joined" in names:
        joined.weights()
    if "annotated" in names:
        boxes_of({}, (1, 1), settings.annotations)


def _animeface(rgb: np.ndarray, row: Mapping, settings: Faces) -> list[Candidate]:
    faces = detect(rgb, settings.detect_size, settings.pad, settings.enlarge)
    return [of_animeface(face) for face in faces]


def _cascade(rgb: np.ndarray, row: Mapping, settings: Faces) -> list[Candidate]:
    """Looks at every one of the angles: a cascade knows upright faces only."""
    seen = []
    for angle in settings.cascade_angles:
        turned, matrix = _turned(rgb, angle, settings)
        squares = find_squares(turned, settings.cascade, settings.cascade_sha256)
        places = _back(matrix, squares[:, :2])
        sides = FACE_OF_CASCADE * squares[:, 2] / _scale(matrix)
        seen += [
            Candidate(place, float(side), ("cascade", angle))
            for place, side in zip(places, sides, strict=True)
        ]
    return seen


def _annotated(rgb: np.ndarray, row: Mapping, settings: Faces) -> list[Candidate]:
    boxes = boxes_of(row, rgb.shape[:2], settings.annotations)
    return [
        Candidate(np.array([x + width / 2, y + height / 2]), max(width, height), ("annotated", 0.0))
        for x, y, width, height in boxes
    ]


def _joined(rgb: np.ndarray, row: Mapping, settings: Faces) -> list[Candidate]:
    return joined.find(rgb, settings.detect_size, settings.pad, settings.enlarge)


def _none(rgb: np.ndarray, row: Mapping, settings: Faces) -> list[Candidate]:
    """The largest square in the middle: what `images.central_square` cuts out."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    nowhere, colourless = np.full((2, 2), np.nan), np.full(3, np.nan)
    whole = Detection(
        box=(float(left), float(top), float(side), float(side)),
        likelihood=1.0,
        eyes=nowhere,
        mouth=nowhere[0],
        hair=colourless,
        skin=colourless,
        iris=colourless,
    )
    centre = np.array([left + side / 2, top + side / 2])
    return [Candidate(centre, float(side), ("none", 0.0), face=whole)]


DETECTORS: dict[str, Callable[[np.ndarray, Mapping, Faces], list[Candidate]]] = {
    "animeface": _animeface,
    "cascade": _cascade,
    "joined": _joined,
    "annotated": _annotated,
    "none": _none,
}


def _groups(candidates: list[Candidate]) -> list[list[Candidate]]:
    """Candidates that overlap their group's first; those with eyes first, then the likelier."""
    groups: list[list[Candidate]] = []
    for seen in sorted(candidates, key=lambda seen: (seen.face is None, -seen.likelihood)):
        group = next((group for group in groups if overlap(seen, group[0]) >= SAME), None)
        if group is None:
            groups.append([seen])
        else:
            group.append(seen)
    return groups


def look_closer(rgb: np.ndarray, group: list[Candidate]) -> Detection | None:
    """The group's face as animeface sees it within the enlarged square, turned as it was seen.

    Where it was `joined` that saw it, which does not know how a head is tilted, by `FURTHER` too.
    """
    first = group[0]
    ways = [(ROOM, angle) for angle in sorted({seen.look[1] for seen in group}, key=abs)]
    blind = next((seen.likelihood for seen in group if seen.look[0] == joined.NAME), None)
    for sides, angle in ways if blind is None else [*ways, *FURTHER]:
        room = ROOM_PIXELS / (sides * first.side)
        matrix = cv2.getRotationMatrix2D(first.centre.tolist(), angle, room)
        matrix[:, 2] += [ROOM_PIXELS / 2 - x for x in first.centre]
        part = _warp(rgb, matrix, (ROOM_PIXELS, ROOM_PIXELS))
        for face in detect(part, ROOM_PIXELS, 0.0):
            back = _turn_back(face, matrix, rgb)
            if np.abs(of_animeface(back).centre - first.centre).max() < first.side / 2:
                both = joined.either(back.likelihood, blind or 0.0)
                return replace(back, likelihood=both)
    return None


def _turned(rgb: np.ndarray, angle: float, settings: Faces) -> tuple[np.ndarray, np.ndarray]:
    """The whole picture at a bounded size, turned by ``angle`` degrees on grey, and the matrix
    [2, 3] that took it there."""
    height, width = rgb.shape[:2]
    scale = min(settings.enlarge, settings.detect_size / max(height, width))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    cos, sin = np.abs(matrix[0, :2])
    size = np.ceil([width * cos + height * sin, width * sin + height * cos]).astype(int)
    matrix[:, 2] += (size - 1) / 2 - ((width - 1) / 2, (height - 1) / 2)
    return _warp(rgb, matrix, (int(size[0]), int(size[1]))), matrix


def _warp(rgb: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrinks by area first where it shrinks: warping alone would alias."""
    scale = _scale(matrix)
    if scale < 1:
        small = [max(1, round(side * scale)) for side in rgb.shape[1::-1]]
        ratio = np.array(rgb.shape[1::-1]) / small
        rgb = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        shift = matrix[:, 2] + matrix[:, :2] @ ((ratio - 1) / 2)  # pixel centres, not corners
        matrix = np.column_stack([matrix[:, :2] * ratio, shift])
    return cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_LINEAR, borderValue=GREY)


def _turn_back(face: Detection, matrix: np.ndarray, rgb: np.ndarray) -> Detection:
    """``face`` of the turned picture in the picture's pixels; its box keeps size and centre."""
    x, y, width, height = face.box
    centre = _back(matrix, np.array([[x + width / 2, y + height / 2]]))[0]
    size = np.array([width, height]) / _scale(matrix)
    corner = centre - size / 2
    eyes = _back(matrix, face.eyes)
    return replace(
        face,
        box=(float(corner[0]), float(corner[1]), float(size[0]), float(size[1])),
        eyes=eyes[np.argsort(eyes[:, 0], kind="stable")],
        mouth=_back(matrix, face.mouth[None])[0],
    )


def _back(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    inverse = cv2.invertAffineTransform(matrix)
    return places @ inverse[:, :2].T + inverse[:, 2]


def _scale(matrix: np.ndarray) -> float:
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))

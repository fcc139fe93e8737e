"""Two detectors that fail on different faces, joined: ``animeface`` and CenterFace.

animeface knows how eyes are drawn, and misses profiles, tilted heads and half-covered faces.
CenterFace (Xu et al. 2019) was trained on photographs and finds many of those. It is unsure of
drawings, so its likelihoods are averaged over three sizes of the picture and their mirror images: a
face stays one, a leaf does not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.public.door import weights_file
from pipeline.faces.candidates import (
    FACE_OF_CENTER_FACE,
    Candidate,
    nearest,
    of_animeface,
    square,
)
from pipeline.faces.detect import detect
from pipeline.imaging.center_face import CenterFace

NAME = "joined"
# Pixels of the square that CenterFace takes, and the share of it that is left empty on every side.
# Faces that fill a picture are found in small squares only, far ones in large squares only.
LOOKS = ((320, 0.15), (480, 0.06), (640, 0.02))
LEAST = 0.05  # likelihood below which a look saw nothing
# Which finds count. Chosen on 50 illustrations; 60 others say how good they are, see docs/data.md.
SURE = 0.21  # the mean likelihood over all looks; where animeface sees a face, too, …
AGREED = 0.11  # … so much is enough
ALONE = (
    0.95  # the likelihood from which animeface's finds count that no look of CenterFace bears out
)

_OWN = threading.local()  # OpenCV's networks are not for several threads


@dataclass
class _Place:
    """One face, as several looks see it."""

    best: Candidate  # the likeliest
    likelihoods: dict[tuple[int, bool], float] = field(default_factory=dict)  # of each look

    @property
    def mean(self) -> float:
        """Over all looks; one that does not see it counts as 0."""
        return sum(self.likelihoods.values()) / (2 * len(LOOKS))


def weights() -> Path:
    """CenterFace's file. Raises ModelError, which says how to get it, where it is missing."""
    return weights_file("center_face", use="pictures")


def find(
    rgb: np.ndarray,
    detect_size: int,
    pad: float,
    enlarge: float = 1.0,
    model: Path | None = None,
) -> list[Candidate]:
    """The faces of a drawing, with eyes and colours where animeface sees them, too.

    Their likelihood is that of the two together, were they independent. 0.9 s a picture and core.

    Args:
        rgb: uint8 [H, W, 3].
        detect_size, pad, enlarge: of animeface's look, see `pipeline.faces.detect.detect`.
        model: CenterFace's file; None: that of this machine.

    Raises ModelError as `weights` does.
    """
    drawn = [of_animeface(face) for face in detect(rgb, detect_size, pad, enlarge)]
    drawn.sort(key=lambda seen: -seen.likelihood)
    found = []
    for place in _places(rgb, _networks(model or weights())):
        same = nearest(place.best, drawn)
        if same is None:
            if place.mean >= SURE:
                found.append(replace(place.best, likelihood=place.mean))
        else:
            seen = drawn.pop(same)
            if place.mean >= AGREED or seen.likelihood >= ALONE:
                found.append(_with(seen, place.mean))
    return found + [_with(seen, 0.0) for seen in drawn if seen.likelihood >= ALONE]


def either(one: float, other: float) -> float:
    """The probability that one of two independent things holds."""
    return 1 - (1 - one) * (1 - other)


def _with(seen: Candidate, likelihood: float) -> Candidate:
    """What animeface saw, as likely as both say."""
    assert seen.face is not None
    both = either(seen.likelihood, likelihood)
    return replace(
        seen, look=(NAME, 0.0), likelihood=both, face=replace(seen.face, likelihood=both)
    )


def _places(rgb: np.ndarray, networks: list[CenterFace]) -> list[_Place]:
    """Where CenterFace sees faces, the likeliest first."""
    seen = [
        (candidate, (number, mirrored))
        for number, (network, (_, margin)) in enumerate(zip(networks, LOOKS, strict=True))
        for mirrored in (False, True)
        for candidate in _look(network, rgb, margin, mirrored)
    ]
    places: list[_Place] = []
    for candidate, look in sorted(seen, key=lambda each: -each[0].likelihood):
        same = nearest(candidate, [place.best for place in places])
        if same is None:
            places.append(_Place(candidate, {look: candidate.likelihood}))
        else:
            places[same].likelihoods.setdefault(look, candidate.likelihood)
    return sorted(places, key=lambda place: -place.mean)


def _look(network: CenterFace, rgb: np.ndarray, margin: float, mirrored: bool) -> list[Candidate]:
    picture = np.ascontiguousarray(rgb[:, ::-1]) if mirrored else rgb
    found = []
    for face in network.find(picture, likely=LEAST, margin=margin):
        centre, side = square(face.box)
        if mirrored:
            centre[0] = rgb.shape[1] - 1 - centre[0]
        found.append(Candidate(centre, FACE_OF_CENTER_FACE * side, (NAME, 0.0), face.likelihood))
    return found


def _networks(model: Path) -> list[CenterFace]:
    """This thread's networks, one a size: OpenCV's cannot change theirs."""
    if getattr(_OWN, "model", None) != model:
        _OWN.networks, _OWN.model = [CenterFace(model, size) for size, _ in LOOKS], model
    return list(_OWN.networks)

"""What a translation did to the face: found, well formed, pose and expression kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from models.domains import other
from models.errors import ModelError
from models.metrics.shape import INSIDE, ShapeModel
from models.public.door import digest
from pipeline.evaluate import found, kept
from pipeline.evaluate.found import Share
from pipeline.evaluate.kept import MIN_FACES, Kept
from pipeline.evaluate.remember import remembered
from pipeline.imaging import animeface_process, drawn_face, geometry, mesh
from pipeline.imaging.mesh import POINTS, FaceMesh

MESH = "face_mesh"
COMPONENTS = {"photos": 25, "anime": 6}  # a drawing has 14 rough points
SPREAD = (10, 50, 90)  # percentiles of the lengths that are told


class Lengths(TypedDict):
    """How far shapes are from those of real faces (see `ShapeModel.lengths`), over ``n`` faces."""

    value: float  # the median
    low: float  # 10 %, and …
    high: float  # … 90 % of the faces
    n: int


class Shape(TypedDict):
    """Are the faces that were found well formed?"""

    translated: Lengths
    real: Lengths  # of the target's real faces, by models that did not see them
    inside: Share  # of the translated, as near as 95 % of the real ones


class FaceNumbers(TypedDict):
    """What `FaceReader.compare` tells of one direction; None stands where too few were found."""

    found: dict[str, Share | None]  # translated, copy, floor: real ones
    kept: dict[str, Kept | None]  # by measure
    shape: Shape | None


@dataclass(frozen=True)
class ReadFaces:
    """What was read off N images; a face that was not found is NaN in the points."""

    domain: str
    images: np.ndarray  # uint8 [N, S, S, 3]
    found: np.ndarray  # bool [N], by the detector of the domain
    points: np.ndarray  # [N, 468, 2] of photos, [N, 14, 2] of drawings
    measures: pd.DataFrame  # N rows


class FaceReader:
    """Reads faces that are aligned to one template; the first ``most`` images of a set."""

    def __init__(self, mesh: Path | None, eyes: np.ndarray, *, most: int = 100) -> None:
        """Set up the detectors.

        Args:
            mesh: MediaPipe's ``face_landmark.tflite``. Without it nothing is measured on photos
                but whether a face is found.
            eyes: [2, 2], (x, y) of the template's eyes as shares of the side, image-left first.
            most: images that are looked at, which takes about 15 ms each on a core.

        Raises StageError when ``mesh`` is not that network.
        """
        self._mesh = FaceMesh(mesh) if mesh else None
        self.eyes, self._most = np.asarray(eyes, float), most

    @property
    def meshed(self) -> bool:
        """Whether points of photographed faces are read."""
        return self._mesh is not None

    def read(self, images: np.ndarray, domain: str, *, most: int | None = None) -> ReadFaces:
        """Read uint8 RGB [N, S, S, 3] as images of ``domain``, the first ``most`` if given."""
        images = images[: most or self._most]
        if domain == "anime":
            points = self._drawn(images)
            measures = geometry.drawing_measures(points)
            seen = np.isfinite(points).all(axis=(1, 2))
        else:
            points = self._photographed(images)
            measures = geometry.mesh_measures(points)
            seen = found.in_photos(images)
        return ReadFaces(domain, images, seen, points, measures)

    def found(self, images: np.ndarray, domain: str) -> np.ndarray:
        """On which of the first images ``domain``'s detector finds a face: bool [N]."""
        images = images[: self._most]
        if domain == "anime":
            return np.isfinite(self._drawn(images)).all(axis=(1, 2))
        return found.in_photos(images)

    def shape(self, real: np.ndarray, domain: str, *, most: int = 200) -> ShapeModel | None:
        """A model of ``domain``'s shapes from ``most`` of its real training images [N, S, S, 3].

        None where too few faces are found for one.
        """
        try:
            points = self.read(real, domain, most=most).points
            return ShapeModel.fit(points, COMPONENTS[domain])
        except ModelError:
            return None

    def compare(
        self,
        source: ReadFaces,
        translated: np.ndarray,
        target: ReadFaces,
        shape: ShapeModel | None,
        *,
        draws: int = kept.DRAWS,
        seed: int = 0,
    ) -> FaceNumbers:
        """All numbers of one direction.

        Args:
            source: real faces, read, and …
            translated: … the same images translated, uint8 [N, S, S, 3], row by row.
            target: real faces of the other domain, read.
            shape: of the target's domain, see `shape`.
        """
        faces = self.read(translated, other(source.domain), most=len(source.images))
        copies = self.found(source.images, target.domain)
        seen = {"translated": faces.found, "copy": copies, "floor": target.found}
        return FaceNumbers(
            found={name: found.share(each) for name, each in seen.items()},
            kept=kept.correlations(source.measures, faces.measures, draws=draws, seed=seed),
            shape=_shape_numbers(shape, faces.points) if shape else None,
        )

    def _drawn(self, images: np.ndarray) -> np.ndarray:
        distance = float(np.linalg.norm(self.eyes[1] - self.eyes[0]))
        return remembered(
            f"drawn {distance}",
            (drawn_face, animeface_process),
            images,
            lambda: drawn_face.find(images, distance),
        )

    def _photographed(self, images: np.ndarray) -> np.ndarray:
        if self._mesh is None:
            return np.full((len(images), POINTS, 2), np.nan)
        return remembered(
            f"{MESH} {digest(MESH)} {self.eyes.tolist()}",
            (mesh,),
            images,
            partial(self._likely, images, self._mesh),
        )

    def _likely(self, images: np.ndarray, network: FaceMesh) -> np.ndarray:
        points, likely = network.find(images, self.eyes * images.shape[2] - 0.5)
        points[likely < mesh.LIKELY] = np.nan
        return points


def as_sets(numbers: FaceNumbers) -> dict[str, dict[str, Any]]:
    """`FaceReader.compare`'s numbers as metric → set → estimate; what is None is left out.

    ``found`` and ``well_formed`` (the share as near to real shapes as 95 % of these) are shares;
    ``shape`` is the median length and ``NAME_kept`` a rank correlation in [-1, 1].
    """
    told: dict[str, dict[str, Any]] = {}
    if numbers["found"]["translated"]:
        told["found"] = {name: share for name, share in numbers["found"].items() if share}
    if shape := numbers["shape"]:
        told["well_formed"] = {"translated": shape["inside"], "floor": {"value": INSIDE / 100}}
        told["shape"] = {"translated": shape["translated"], "floor": shape["real"]}
    for name, kept_ in numbers["kept"].items():
        if kept_:
            chance = {"value": kept_["shuffled"]}
            told[f"{name}_kept"] = {"translated": kept_, "shuffled": chance}
    return told


def _shape_numbers(model: ShapeModel, points: np.ndarray) -> Shape | None:
    lengths = model.lengths(points)
    lengths = lengths[np.isfinite(lengths)]
    inside = found.share(lengths <= model.limit)
    if inside is None or len(lengths) < MIN_FACES:
        return None
    return Shape(translated=_lengths(lengths), real=_lengths(model.real), inside=inside)


def _lengths(lengths: np.ndarray) -> Lengths:
    low, value, high = map(float, np.percentile(lengths, SPREAD))
    return Lengths(value=value, low=low, high=high, n=len(lengths))

"""Is a face well formed? How far its points are from the shapes of real faces.

A detector takes a face with its mouth awry for a face, and so does a distance of features: a model
of shapes does not. It is the point distribution model of Cootes et al. 1995, *Active shape models*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.errors import ModelError

FOLDS = 5  # real faces are measured by models that did not see them
INSIDE = 95.0  # per cent of the real faces that `ShapeModel.limit` takes in
PER_COMPONENT = 4  # real faces at least; with fewer, the variances mean little
ROUNDS = 5  # of aligning to the mean shape and averaging: it then stands still


@dataclass(frozen=True)
class ShapeModel:
    """Mean and principal components of real shapes, less place, size and rotation."""

    mean: np.ndarray  # complex [P], of length 1, about 0
    components: np.ndarray  # [K, 2P]
    deviations: np.ndarray  # [K + 1], of the real shapes along them, and of what they leave
    real: np.ndarray  # lengths of the real shapes, each by a model without it

    @classmethod
    def fit(cls, points: np.ndarray, components: int = 25) -> ShapeModel:
        """From points [N, P, 2] of real faces; those with a NaN are left out.

        Raises ModelError when fewer than `PER_COMPONENT` × ``components`` faces are left.
        """
        points = points[np.isfinite(points).all(axis=(1, 2))]
        if len(points) < PER_COMPONENT * components:
            raise ModelError(
                f"a model of {components} components of shape needs {PER_COMPONENT * components} "
                f"real faces, there are {len(points)}"
            )
        fold = np.arange(len(points)) % FOLDS
        real = np.empty(len(points))
        for i in range(FOLDS):
            model = cls(*_principal(points[fold != i], components), real)
            real[fold == i] = model.lengths(points[fold == i])
        return cls(*_principal(points, components), real)

    def lengths(self, points: np.ndarray) -> np.ndarray:
        """Mahalanobis length [N] of points [N, P, 2]; NaN where a point is NaN.

        √(Σ (cₖ/σₖ)²/(K + 1)) over the K components and the length of what they leave, without which
        a face that is like no real one in another way would pass. The root mean square over the
        real faces is about 1, their median a little less.
        """
        scores = _scores(points, self.mean, self.components) / self.deviations
        return np.sqrt((scores**2).mean(axis=1))

    @property
    def limit(self) -> float:
        """The length that 95 % of real faces do not pass."""
        return float(np.percentile(self.real, INSIDE))


def _principal(points: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean shape, components and deviations along them, by generalised Procrustes analysis."""
    shapes = _complex(points)
    mean = shapes[0]
    for _ in range(ROUNDS):
        mean = _aligned(shapes, mean / np.linalg.norm(mean)).mean(axis=0)
    mean /= np.linalg.norm(mean)
    rest = _flat(_aligned(shapes, mean)) - _flat(mean)
    vectors = np.linalg.svd(rest, full_matrices=False)[2][:components]
    deviations = np.sqrt((_scores(points, mean, vectors) ** 2).mean(axis=0))
    if len(vectors) < components or deviations.min() <= 1e-9:
        raise ModelError(f"the real faces do not vary in {components} ways: take fewer components")
    return mean, vectors, deviations


def _scores(points: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """[N, K + 1]: along each component, and the length of what they leave."""
    shapes = _flat(_aligned(_complex(points), mean)) - _flat(mean)
    along = shapes @ components.T
    rest = np.linalg.norm(shapes - along @ components, axis=1)
    return np.column_stack([along, rest])


def _complex(points: np.ndarray) -> np.ndarray:
    """[N, P, 2] as complex numbers [N, P] about 0, in which a similarity is z → a·z."""
    shapes = points[..., 0] + 1j * points[..., 1]
    return shapes - shapes.mean(axis=1, keepdims=True)


def _aligned(shapes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Each of complex shapes [N, P] turned and scaled to lie nearest to ``mean`` [P]."""
    with np.errstate(invalid="ignore", divide="ignore"):  # all points in one place have no shape
        factor = (shapes.conj() @ mean) / (np.abs(shapes) ** 2).sum(axis=1)
    return shapes * factor[:, None]


def _flat(shapes: np.ndarray) -> np.ndarray:
    """Complex [..., P] as real [..., 2P]."""
    return np.concatenate([shapes.real, shapes.imag], axis=-1)

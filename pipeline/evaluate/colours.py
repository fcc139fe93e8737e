"""Are the colours of hair and eyes kept? Told by pixels, without any network."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.metrics.estimate import TAIL
from pipeline.evaluate.agreement import hair_lab
from pipeline.imaging.colours import iris_colour, to_lab


def colours_kept(
    source: np.ndarray, fake: np.ndarray, eyes: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """How far colours of translations are from those of their sources: mean ΔE (CIE76).

    0 is the same colour, 2.3 a difference that can just be seen (Mahy et al. 1994); drawings have
    brighter colours than photos, so that what a translation keeps shows against ``shuffled``.

    Args:
        source, fake: uint8 RGB [N, S, S, 3] of aligned faces, row by row.
        eyes: [2, 2], (x, y) of the template's eyes in shares of the side.

    Returns:
        ``hair_distance`` and ``eyes_distance`` → ``translated``, with its 95 % bootstrap interval,
        and ``shuffled``, of all other sources, which is chance.
    """
    places = np.asarray(eyes) * source.shape[1] - 0.5
    read = {
        "hair_distance": lambda images: hair_lab(images.transpose(0, 3, 1, 2)),
        "eyes_distance": lambda images: to_lab(np.array([iris_colour(x, places) for x in images])),
    }
    return {
        name: _distances(colour(source), colour(fake), draws, seed) for name, colour in read.items()
    }


def _distances(a: np.ndarray, b: np.ndarray, draws: int, seed: int) -> dict[str, dict[str, Any]]:
    """Of Lab colours [N, 3], row by row and with all other rows."""
    own, n = np.linalg.norm(a - b, axis=1), len(a)
    every = np.linalg.norm(a[:, None] - b[None], axis=2)
    rng = np.random.default_rng([seed, n])
    means = own[rng.integers(n, size=(draws, n))].mean(axis=1)
    low, high = map(float, np.percentile(means, [TAIL, 100 - TAIL]))
    others = float((every.sum() - own.sum()) / max(n * (n - 1), 1))
    told = {"value": float(own.mean()), "low": low, "high": high, "n": n}
    return {"translated": told, "shuffled": {"value": others}}

"""Colours kept, lost and exchanged."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluate.colours import colours_kept

EYES = np.array([[0.35, 0.5], [0.65, 0.5]])
HAIR = [(20, 20, 20), (220, 180, 120), (150, 60, 30), (60, 80, 200)]


def faces(hair: list[tuple[int, int, int]], iris: list[tuple[int, int, int]]) -> np.ndarray:
    images = np.full((len(hair), 64, 64, 3), 200, np.uint8)
    for image, above, eye in zip(images, hair, iris, strict=True):
        image[:20] = above
        image[28:36, 18:27] = image[28:36, 37:46] = eye
    return images


def test_the_same_colours_are_no_distance_and_those_of_others_are_chance() -> None:
    images = faces(HAIR, HAIR[::-1])
    kept = colours_kept(images, images, EYES)
    for told in kept.values():
        assert told["translated"]["value"] == 0
        assert told["shuffled"]["value"] > 20
    lost = colours_kept(images, np.roll(images, 1, axis=0), EYES)
    for told in lost.values():
        assert told["translated"]["low"] > 10


def test_hair_and_eyes_are_told_apart() -> None:
    source, other_eyes = faces(HAIR, HAIR), faces(HAIR, HAIR[::-1])
    kept = colours_kept(source, other_eyes, EYES)
    assert kept["hair_distance"]["translated"]["value"] == pytest.approx(0, abs=1e-3)
    assert kept["eyes_distance"]["translated"]["value"] > 10

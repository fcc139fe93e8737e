"""Shares with intervals, and a detector of photographed faces that can say no."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo.attributes import sample_faces
from pipeline.evaluate.found import in_photos, share
from tests.pipeline.evaluate.aligned_faces import drawn_anime, drawn_photos


def test_share_has_its_interval() -> None:
    told = share(np.arange(20) < 18)
    assert (told["value"], told["n"]) == (0.9, 20)
    # The 2.5th and the 97.5th percentile of Beta(18.5, 2.5).
    assert (told["low"], told["high"]) == pytest.approx((0.7161, 0.9786), abs=1e-4)
    everything = share(np.ones(10, bool))
    assert everything["high"] == 1 and everything["low"] < 0.8
    assert share(np.zeros(0, bool)) is None


def test_photos_have_a_face_and_noise_and_most_drawings_have_none() -> None:
    photos = drawn_photos(sample_faces(30, 5, "photos"))
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
    drawings = drawn_anime(sample_faces(30, 5, "anime"))
    shares = [in_photos(images).mean() for images in (photos, noise, drawings, photos[:, ::-1])]
    assert shares[0] > 0.9 and shares[1] == 0 and shares[2] < 0.5 and shares[3] < 0.5
    assert in_photos(photos[:0]).shape == (0,)

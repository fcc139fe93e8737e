"""Borders are found, and nothing that is picture is taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import tables
from pipeline.duplicates import borders


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (4, 90), (64, 64), (90, 61)])
def test_a_picture_without_a_border_is_left_as_it_is(shape: tuple[int, int]) -> None:
    rgb = noise(*shape)
    assert borders.trim(rgb) is rgb


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(0, 9)] * 4),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.integers(0, 10**6),
)
def test_what_is_left_is_of_the_picture(
    widths: tuple[int, ...], colour: tuple[int, ...], seed: int
) -> None:
    """No line of the border is left, and of the picture at most one line at an end is lost."""
    rgb = noise(60, 50, seed)
    framed = cv2.copyMakeBorder(rgb, *widths, cv2.BORDER_CONSTANT, value=colour)
    top, bottom, left, right = (int(width > 0) for width in widths)
    expected = rgb[top : 60 - bottom, left : 50 - right]
    np.testing.assert_array_equal(borders.trim(framed), expected)


def test_a_border_that_was_compressed_and_shrunk_is_found() -> None:
    rgb = cv2.resize(noise(8, 8), (256, 256), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(rgb, 24, 24, 24, 24, cv2.BORDER_CONSTANT, value=(250, 250, 250))
    compressed = tables.decode(tables.encode_jpeg(framed, 60))
    small = cv2.resize(compressed, (64, 64), interpolation=cv2.INTER_AREA)
    content = 64 * 256 / (256 + 2 * 24)
    assert all(content - 4 <= side <= content for side in borders.trim(small).shape[:2])


def test_of_a_picture_of_one_colour_most_is_left() -> None:
    flat = np.full((100, 50, 3), 7, np.uint8)
    assert borders.trim(flat).shape == (60, 30, 3)

"""Some broken inputs at every door; `python -m tests.fuzz` goes on for as long as asked."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, knock

INPUTS = 150


@pytest.mark.parametrize("name", TARGETS)
def test_valid_input_comes_in(name: str, tmp_path: Path) -> None:
    for seed in TARGETS[name].seeds:
        assert knock(TARGETS[name], seed, tmp_path) == ""


@pytest.mark.parametrize("name", TARGETS)
def test_broken_input_ends_in_a_line_or_is_taken(name: str, tmp_path: Path) -> None:
    draw, refused = random.Random(name), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what it repairs
        for _ in range(INPUTS):
            refused += bool(knock(TARGETS[name], mutated(TARGETS[name].seeds, draw), tmp_path))
    assert refused or name in TAKES_ALL


# A robots.txt of any bytes is one; a source's broken page ends its listing, in a line of its own.
TAKES_ALL = {"robots", "archive", *(name for name in TARGETS if name.startswith("source"))}

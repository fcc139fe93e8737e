"""What is kept between evaluations changes no number, whatever happens to the files."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluate import remember

IMAGES = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
FEATURES = np.linspace(0, 1, 40, dtype=np.float32).reshape(4, 10)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often images were really looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return []


def look(asked: list[int], what: str = "x", images: np.ndarray = IMAGES) -> np.ndarray:
    def read() -> np.ndarray:
        asked.append(1)
        return FEATURES

    return remember.remembered(what, (remember,), images, read)


def test_it_is_looked_once_and_again_for_anything_else(asked: list[int]) -> None:
    for _ in range(2):
        np.testing.assert_array_equal(look(asked), FEATURES)
    assert len(asked) == 1
    look(asked, what="y")
    look(asked, images=IMAGES + 1)
    look(asked, images=IMAGES.reshape(1, 2, 8, 3))
    assert len(asked) == 4


def test_a_damaged_file_is_made_anew(asked: list[int]) -> None:
    look(asked)
    (path,) = Path(".cache/evaluate").iterdir()
    whole, draw = path.read_bytes(), random.Random(1)
    damages = [b"", b"x", whole[:-1], whole[: len(whole) // 2], whole + b"x", bytes(len(whole))]
    for place in [0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(50))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << draw.randrange(8)
        damages.append(bytes(flipped))
    for times, damaged in enumerate(damages, 2):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(look(asked), FEATURES)
        assert len(asked) == times and path.read_bytes() == whole

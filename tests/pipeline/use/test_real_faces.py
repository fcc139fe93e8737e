"""Translating what is really in pictures: a portrait by public weights, and drawings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import ModelError
from pipeline.core import tables
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from tests.pipeline.imaging.test_photo_faces import EYES, portrait
from tests.pipeline.use.pictures import lines, real_portrait, run, write


def test_a_portrait_and_a_group(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = real_portrait(monkeypatch)
    rgb, eyes = portrait("grace_hopper"), EYES["grace_hopper"]
    group = np.full((700, 1300, 3), 90, np.uint8)
    group[60:660, 750:1262] = rgb
    group[200:500, 100:356] = cv2.resize(rgb, (256, 300), interpolation=cv2.INTER_AREA)
    write(place / "group.png", group)
    done = run(photo, "group.png", "--model", "model", "--out", "out", "--json", "--paste")
    assert done.exit_code == 0
    alone, left, right = lines(done)
    np.testing.assert_allclose(alone["eyes"], eyes, atol=6)
    np.testing.assert_allclose(left["eyes"], eyes / 2 + (100, 200), atol=5)
    np.testing.assert_allclose(right["eyes"], eyes + (750, 60), atol=6)
    pasted = tables.decode(Path(alone["pasted"]).read_bytes()).astype(int)
    changed = np.abs(pasted - rgb).mean(axis=2)
    assert changed[195:260, 220:305].mean() > 10 * changed[450:].mean()


def test_without_the_weights_one_line_names_the_command(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(place))
    write(place / "me.png", np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(ModelError, match="face2anime doctor --fetch"):
        raise run("me.png", "--model", "model", "--out", "out").exception


def test_a_drawn_page_to_photos(place: Path) -> None:
    page, records = draw_page(sample_faces(2, 5, "anime"), *page_size(2, 100), seed=0)
    write(place / "page.png", page)
    write(place / "wall.png", np.full((200, 300, 3), 120, np.uint8))
    done = run("page.png", "wall.png", "--model", "model", "--out", "out", "--to", "photo",
               "--json", "--paste")  # fmt: skip
    found = lines(done)
    assert len(found) == 2 and done.exit_code == 3
    assert "wall.png: no face found" in done.stderr
    places = sorted((r["left_eye_x"], r["right_eye_x"]) for r in records)
    for line, (left, right) in zip(found, places, strict=True):
        xs = [x for x, _ in line["eyes"]]
        np.testing.assert_allclose(xs, (left, right), atol=0.2 * (right - left))

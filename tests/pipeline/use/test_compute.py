"""`compute.device` and `compute.threads` hold for what is run by hand; pictures run together."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import face2anime
from models.checkpoint import Translator
from models.errors import ModelError
from pipeline.core.errors import StageError
from pipeline.core.params import Compute
from pipeline.use import faces
from pipeline.use.compute import cores, settled
from pipeline.use.serve.run import serve
from pipeline.use.translate import run as module
from tests.pipeline.conftest import write_params
from tests.pipeline.use.pictures import (
    find_red,
    picture,
    red_eyes,
    run,
    write,
)
from tests.project import PATIENCE

__all__ = ["red_eyes"]
pytestmark = pytest.mark.usefixtures("red_eyes")


@pytest.fixture(autouse=True)
def me(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))


def translate(*arguments: object):
    return run(*arguments, "--model", "model", "--out", "out", "--size", 32)


def test_a_device_that_is_not_here_is_told(place: Path) -> None:
    write_params({"compute": {"device": "nowhere"}})
    told = "device 'nowhere' is not available here"
    with pytest.raises(ModelError, match=told):
        raise translate("me.png").exception  # type: ignore[misc]
    with pytest.raises(ModelError, match=told):
        serve(0, "model")
    with pytest.raises(face2anime.Error, match=told):
        face2anime.load("model", device="nowhere")
    assert face2anime.load("model", device="cpu").name == "model"  # it reads no params.yaml


def test_a_broken_params_yaml_is_told_and_none_is_none(place: Path) -> None:
    assert settled() == Compute() and translate("me.png").exit_code == 0
    (place / "params.yaml").write_text("compute: {threads: many}")
    with pytest.raises(StageError, match="threads"):
        raise translate("me.png").exception  # type: ignore[misc]


def test_as_many_threads_as_were_asked_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cores(Compute()) == 2 and cores(Compute(threads=7)) == 7
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= cores(Compute()) <= (os.cpu_count() or 1)
    before, drawn, draw = cv2.getNumThreads(), [], Translator.translate

    def noted(*arguments: Any) -> np.ndarray:
        drawn.append((torch.get_num_threads(), cv2.getNumThreads()))
        return draw(*arguments)

    monkeypatch.setattr(Translator, "translate", noted)
    try:
        write_params({"compute": {"threads": 3}})
        assert translate("me.png").exit_code == 0
        assert drawn == [(3, 3)]  # one picture: all for it
    finally:
        cv2.setNumThreads(before)


def test_pictures_run_together_and_are_told_in_their_order(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the first three is done before all three have begun."""
    together, begun = threading.Barrier(3), []

    def finder(*_: object) -> faces.Finder:
        def find(rgb: np.ndarray) -> list[faces.Face]:
            begun.append(threading.get_ident())
            if len(begun) <= 3:
                together.wait(PATIENCE)
            return find_red(rgb)

        return find

    monkeypatch.setattr(faces, "finder", finder)
    write_params({"compute": {"threads": 3}})
    for number in range(6):
        write(place / f"in/{number}.png", picture((60 + number, 70, 40)))
    (place / "in/2.png").write_bytes(b"no picture")
    before = cv2.getNumThreads()
    try:
        done = translate("in")
    finally:
        cv2.setNumThreads(before)
    assert done.stdout.split() == [f"out/{number}.png" for number in (0, 1, 3, 4, 5)]
    assert len(set(begun)) == 3 <= module.WORKERS and done.exit_code == 1
    assert "in/2.png: no image of a known format" in done.stderr

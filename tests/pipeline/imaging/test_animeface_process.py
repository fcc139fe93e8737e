"""The child process that looks for faces: the same answers, and never a picture without an end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import animeface
import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import StageError
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import sample_faces
from pipeline.imaging import animeface_process
from pipeline.imaging.images import read_rgb

FACES = Path(__file__).resolve().parents[3] / "../shared/data/anime/faces96.zip"
GREY = [128] * 3


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    width, height = page_size(1, 100)
    return draw_page(sample_faces(1, 0, "anime"), width, height, 0)[0]


def test_it_finds_what_animeface_finds_every_time_the_same(page) -> None:
    here = animeface.detect(Image.fromarray(page))
    one, again = (animeface_process.look(page) for _ in range(2))
    assert str([face.face.pos for face in one]) == str([face.face.pos for face in here])
    assert len(one) == 1
    assert str(one) == str(again)  # the colours, too


def test_a_look_that_takes_too_long_is_ended_and_the_next_one_works(page) -> None:
    with pytest.raises(animeface_process.EndlessError, match="does not come to an end"):
        animeface_process.look(page, limit=1e-6)
    assert animeface_process.look(page)


def test_a_killed_child_changes_nothing(page) -> None:
    before = str(animeface_process.look(page))
    animeface_process._OWN.child.kill()
    assert str(animeface_process.look(page)) == before


def test_a_child_that_was_stopped_for_longer_than_the_limit_changes_nothing(page) -> None:
    """What counts is the child's own CPU time."""
    before, limit = str(animeface_process.look(page)), 3.0
    child = animeface_process._OWN.child
    child.send_signal(signal.SIGSTOP)
    later = threading.Timer(1.2 * limit, child.send_signal, [signal.SIGCONT])
    later.start()
    assert str(animeface_process.look(page, limit)) == before
    assert animeface_process._OWN.child is child


def ended_by(number: int) -> Callable[[], subprocess.Popen[bytes]]:
    """Children that each end by this signal, as soon as they are asked."""
    script = f"import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), {number})"

    def child() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        made = subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe)
        animeface_process._OWN.child = made
        return made

    return child


def test_a_child_that_is_killed_again_and_again_ends_the_stage(page, monkeypatch) -> None:
    """No picture is left out for it: that would be another result."""
    monkeypatch.setattr(animeface_process, "_child", ended_by(signal.SIGKILL))
    with pytest.raises(StageError, match=r"ended 4 times \(SIGKILL\).*compute.workers"):
        animeface_process.look(page)


def test_a_picture_that_crashes_it_from_every_start_is_given_up(page, monkeypatch) -> None:
    monkeypatch.setattr(animeface_process, "_child", ended_by(signal.SIGSEGV))
    monkeypatch.setattr(animeface_process, "STARTS", 2)
    with pytest.raises(animeface_process.EndlessError):
        animeface_process.look(page)


@pytest.mark.skipif(not FACES.exists(), reason="needs ../shared/data")
def test_a_picture_that_animeface_never_ends_on_is_looked_at_from_another_start() -> None:
    with zipfile.ZipFile(FACES) as pictures:
        rgb = read_rgb(pictures.read("faces96/31619.jpg"))
    rgb = cv2.copyMakeBorder(rgb, *[10] * 4, cv2.BORDER_CONSTANT, value=GREY)
    started = time.monotonic()
    assert len(animeface_process.look(rgb, limit=3)) == 1
    assert time.monotonic() - started > 3  # the first start did not end

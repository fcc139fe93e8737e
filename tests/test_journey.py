"""A new user's journey: a portrait is translated, served, scored and exported, with one result.

Every step is the command that the README or docs/sharing.md names, in a process of its own, with
the model that comes along.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import onnxruntime
import pytest
import requests
from playwright.sync_api import expect, sync_playwright

import face2anime
from models.errors import ModelError
from models.runtime.files import PRETRAINED
from pipeline.core import registry, tables, tracking
from pipeline.imaging import drawn_face, photo_faces
from pipeline.use.model import choose
from tests.pipeline.compare.test_browser import BROWSER
from tests.pipeline.imaging.test_photo_faces import EYES
from tests.pipeline.use.test_serve_in_browser import OPTIONS, SIDES, WIDE
from tests.project import PATIENCE, ROOT, environment

pytestmark = pytest.mark.e2e
PHOTO = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHARING = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
ALIKE = 0.5  # mean levels of 255 between pictures that were computed on other numbers of threads


def command(page: str, start: str) -> list[str]:
    """The words of the page's command that begins so."""
    (line,) = re.findall(rf"^({re.escape(start)}.*?) *(?:#.*)?$", page, re.M)
    program, *words = line.split()
    ours = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    return [*(ours if program == "face2anime" else [program]), *words]


def run(words: Sequence[str], place: Path) -> subprocess.CompletedProcess[str]:
    """In a folder, with the public weights of the project."""
    env = environment(DVC_ROOT=str(ROOT), PYTHONPATH=str(ROOT))
    return subprocess.run(words, cwd=place, env=env, text=True, capture_output=True, check=True,
                          timeout=PATIENCE)  # fmt: skip


@contextmanager
def running(words: Sequence[str], place: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        words, cwd=place, env=environment(DVC_ROOT=str(ROOT), PYTHONPATH=str(ROOT), **env),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the portrait as ``me.jpg``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(ROOT))
        try:
            photo_faces.weights()
        except ModelError as error:
            pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("journey")
    shutil.copy(PHOTO, folder / "me.jpg")
    return folder


@pytest.fixture(scope="module")
def drawn(place: Path) -> np.ndarray:
    """What `translate` made of it: uint8 [512, 512, 3]."""
    done = run(command(README, "face2anime translate me.jpg --out drawn  "), place)
    assert done.stdout == f"{Path('drawn/me.png')}\n"
    return tables.decode((place / "drawn/me.png").read_bytes())


def test_the_drawing_is_a_drawn_face(drawn: np.ndarray) -> None:
    assert drawn.shape == (512, 512, 3)
    eyes = choose("shipped")[0].align.eye_distance
    nothing = np.full_like(drawn, 200)
    found = drawn_face.find(np.stack([drawn, nothing]), eyes)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


@pytest.mark.skipif(not BROWSER, reason="no browser is here")
def test_the_page_shows_the_same_at_a_desk_and_on_a_phone(place: Path, drawn: np.ndarray) -> None:
    words = [*command(README, "face2anime serve"), "--port", "0"]
    with running(words, place) as server, sync_playwright() as playwright:
        assert server.stdout
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        for width in (1400, 390):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(address)
            page.set_input_files("#file", place / "me.jpg")
            expect(page.locator("#status")).to_have_text("1 face", timeout=1000 * PATIENCE)
            page.wait_for_load_state("networkidle")
            assert page.evaluate(SIDES) == [512] * 3 and page.evaluate(WIDE) == []
            with page.expect_download() as saved:
                page.get_by_label("Download face 1: anime").click()
            shown = tables.decode(Path(saved.value.path()).read_bytes())
            assert apart(shown, drawn) < ALIKE
            if folder := os.environ.get("JOURNEY_SCREENSHOTS"):
                page.screenshot(path=f"{folder}/{width}.png", full_page=True)
        browser.close()


def test_the_registered_model_answers_a_request_with_the_photo(
    place: Path, drawn: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("DVC_ROOT", str(place))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if (fetched := ROOT / ".cache/weights").is_dir():
        shutil.copytree(fetched, place / ".cache/weights")
    with tracking.stage_run("compare", {}) as run_:
        version, _ = registry.register(PRETRAINED, "shipped", run_.run_id, "")
    registry.crown(version.number)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = " ".join(command(SHARING, "mlflow models serve")).replace("5001", str(port)).split()
    text = base64.b64encode((place / "me.jpg").read_bytes()).decode()
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    env["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"] = str(PATIENCE)  # a busy machine takes a minute
    with running(words, place, **env) as server:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while not answers(f"{address}/ping"):
            assert server.poll() is None and time.monotonic() < end
            time.sleep(0.2)
        answer = requests.post(f"{address}/invocations", json={"inputs": [text]}, timeout=PATIENCE)
    assert answer.ok, answer.text
    told = answer.json()
    ((face,),) = [each["faces"] for each in told["predictions"]]
    np.testing.assert_allclose(face["eyes"], EYES["grace_hopper"], atol=6)
    assert apart(tables.decode(base64.b64decode(face["png"])), drawn) < ALIKE


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE).status_code == 200
    except requests.ConnectionError:
        return False


def test_the_exported_file_draws_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    said = run(command(README, "face2anime export"), place).stdout
    away = re.search(r"(\S+) away from PyTorch", said)
    assert away and float(away[1]) < 1e-3
    session = onnxruntime.InferenceSession(place / "anime.onnx")
    told = session.get_modelmeta().custom_metadata_map
    face = face2anime.translate(place / "me.jpg", size=int(told["image_size"])).face
    crop = face.before.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    (out,) = session.run(None, {"images": crop})
    levels = ((out[0].transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255)
    assert np.abs(levels - face.picture).max() <= 1

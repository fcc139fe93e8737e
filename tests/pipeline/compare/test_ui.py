"""``make ui``: a link to the table of models, and what a browser shows there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from pipeline.compare import ui
from pipeline.core import tracking, view
from pipeline.core.errors import StageError
from tests.pipeline.compare.test_browser import BROWSER, NAMES
from tests.pipeline.conftest import write_params
from tests.project import PATIENCE, ROOT, environment


def test_a_taken_port_is_told_in_one_line(project: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StageError, match=rf"port {port} is taken.*make ui PORT=\d+"):
            ui.main(port=port, browser=False)
    ui.check_free(port)
    with pytest.raises(StageError, match="make ui PORT="):
        ui.check_free(70_000)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_browser_is_opened_once_the_server_answers(tmp_path: Path):
    """``BROWSER`` names what Python opens pages with: here a script that notes the address."""
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n', encoding="utf-8")
    script.chmod(0o755)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    code = f"from pipeline.compare.ui import open_when_up as o; o({address!r}, 'http://x/#/runs')"
    env = environment(PYTHONPATH=str(ROOT), BROWSER=f"{script} %s")
    try:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True,
                       stderr=subprocess.DEVNULL)  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert (tmp_path / "opened").read_text(encoding="utf-8").strip() == "http://x/#/runs"


def test_no_browser_in_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not ui.has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert ui.has_screen()


SIZE = (256, 64)  # of a strip, which MLflow gets folded to a square


@pytest.fixture
def links(project: Path) -> Iterator[list[str]]:
    """What `make ui` printed, of a store with two trained models; its server answers."""
    write_params({"compute": {"device": "cpu"}})
    for number, variant in enumerate(("cyclegan", "xgan")):
        row = {"variant": variant}
        Image.new("RGB", SIZE, (250, 10, 10 * number)).save("strip.png")
        with tracking.stage_run(f"train@{variant}", {"train.lr": number}, tags=row) as run:
            run.metrics({"kid": 1.75 - number, "face_found": 0.5, "kept": 0.75, "minutes": 3})
            run.tag(kid_95="1.1 to 1.4", place="1 of 2, tie")
            run.picture(Path("strip.png"), "photos2anime")
    with tracking.stage_run("faces", {}) as run:
        run.metrics({"kept": 7})
    port = free_port()
    command = [sys.executable, "-m", "pipeline.compare.ui", "--port", str(port), "--no-browser"]
    env = environment(PYTHONPATH=str(ROOT), DVC_ROOT=str(project))
    server = subprocess.Popen(command, cwd=project, env=env, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    assert server.stdout
    try:
        printed = [server.stdout.readline().strip() for _ in range(5)]
        assert printed[::2] == ["The trained models:", "Their pictures:", "Ctrl-C ends it."]
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "no server"
                time.sleep(0.2)
        yield printed[1::2]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        server.stdout.close()


def expect_pictures(page: Page) -> None:
    """One picture of each model, under its name, that is loaded and can be seen without a click."""
    pictures = page.locator("img[src*='photos2anime']")
    expect(pictures).to_have_count(2)
    for picture in pictures.all():
        expect(picture).to_be_in_viewport()
        expect(picture).to_have_js_property("naturalWidth", 256)
        expect(picture).to_have_js_property("naturalHeight", 256)


@pytest.mark.skipif(not BROWSER, reason=f"none of these browsers is here: {', '.join(NAMES)}")
def test_the_links_show_the_models_their_numbers_and_pictures(links: list[str]):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 2000, "height": 1000})
        expect.set_options(timeout=1000 * PATIENCE)
        page.goto(links[0])
        expect(page.get_by_role("row").filter(has_text="1.1 to 1.4")).to_have_count(2)
        text = page.locator("body").inner_text()
        lines = {line.strip() for line in text.splitlines()}
        assert {"xgan", "cyclegan", "0.75", "1.75", "1.1 to 1.4", "1 of 2, tie", "0.5"} <= lines
        shown = {column.split("`")[1] for column in view.COLUMNS if column.startswith("m")}
        assert shown - {"cycle"} <= lines  # which no run has
        assert "faces" not in lines and "Default" not in lines

        page.locator("label:has(input[name='runs-view-mode'][value='CHART'])").click()
        expect_pictures(page)

        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.goto(links[1])
        expect_pictures(page)
        expect(page.get_by_text("1.75")).to_be_visible()
        browser.close()

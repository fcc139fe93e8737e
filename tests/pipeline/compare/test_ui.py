"""``make ui``: a link to the table of models, and what a browser shows there."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

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


@pytest.fixture
def link(project: Path):
    """What `make ui` printed, of a store with one trained model; its server answers."""
    write_params({"compute": {"device": "cpu"}})
    with tracking.stage_run("train@xgan", {"train.lr": 1}, tags={"variant": "xgan"}) as run:
        run.metrics({"kid": 1.25, "face_found": 0.5, "kept": 0.75, "cycle": 0.125, "minutes": 3})
        run.tag(kid_95="1.1 to 1.4", place="1 of 2, tie")
    with tracking.stage_run("faces", {}) as run:
        run.metrics({"kept": 7})
    port = free_port()
    command = [sys.executable, "-m", "pipeline.compare.ui", "--port", str(port), "--no-browser"]
    env = environment(PYTHONPATH=str(ROOT), DVC_ROOT=str(project))
    server = subprocess.Popen(command, cwd=project, env=env, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    assert server.stdout
    try:
        server.stdout.readline()
        printed = server.stdout.readline().strip()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "no server"
                time.sleep(0.2)
        yield printed
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        server.stdout.close()


@pytest.mark.skipif(not BROWSER, reason=f"none of these browsers is here: {', '.join(NAMES)}")
def test_the_link_shows_the_models_and_their_numbers(link: str, tmp_path: Path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1700,1000"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000"]
    done = subprocess.run(
        [BROWSER, *options, "--dump-dom", link],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    text = re.sub(r"<[^>]*>", "\n", done.stdout)
    lines = {line.strip() for line in text.splitlines()}
    assert {"xgan", "1.25", "1.1 to 1.4", "1 of 2, tie", "0.5", "0.75"} <= lines, done.stderr[
        -2000:
    ]
    assert {column.split("`")[1] for column in view.COLUMNS if column.startswith("m")} <= lines
    assert "faces" not in lines and "Default" not in lines

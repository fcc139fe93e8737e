"""``face2anime serve`` over HTTP: what it shows, what it refuses, how it starts and ends."""

from __future__ import annotations

import base64
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from pipeline.core import tables
from pipeline.core.paths import DRAWN
from pipeline.use.serve.app import MOST_BYTES
from tests.pipeline.imaging.test_photo_faces import EYES
from tests.pipeline.use.pictures import picture, real_portrait, red_eyes, run, write, write_model
from tests.pipeline.use.serving import served
from tests.project import PATIENCE

__all__ = ["red_eyes"]
ONE = tables.encode_png(picture((60, 70, 40)))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [write_model(tmp_path / "mine"), write_model(tmp_path / "demo", seed=1, data=DRAWN)]


@pytest.fixture
def address(models: list[Path], red_eyes: None) -> Iterator[str]:
    with served(*models) as found:
        yield found


def ask(
    address: str, data: bytes, model: str = "mine", to: str = "anime", **headers: str
) -> requests.Response:
    query = {"model": model, "to": to}
    return requests.post(f"{address}/faces", data, params=query, headers=headers, timeout=PATIENCE)


def shown(face: dict[str, str], name: str) -> np.ndarray:
    return tables.decode(base64.b64decode(face[name]))


def test_the_page_offers_the_models_and_asks_nobody_else(address: str) -> None:
    page = requests.get(address, timeout=PATIENCE)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r'<option value="(\w+)">', page.text) == ["anime", "photo", "mine", "demo"]
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';") and "http" not in policy
    files = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert sorted(files) == ["/page.css", "/page.js"]
    for name in files:
        text = requests.get(f"{address}{name}", timeout=PATIENCE).text
        assert text and "//" not in re.sub(r"^ *// .*| // .*", "", text, flags=re.M), name


def test_every_face_from_left_to_right_as_translate_draws_it(address: str, tmp_path: Path) -> None:
    whole = picture((150, 60, 50), (20, 70, 30), (200, 140, 9))
    told = ask(address, tables.encode_png(whole)).json()
    assert [face["eyes"] for face in told["faces"]] == [
        [[20, 70], [50, 70]],
        [[150, 60], [200, 60]],
    ]
    assert told["notes"] == ["a face with its eyes 9 pixels apart, 12 are needed"]
    write(tmp_path / "we.png", whole)
    run("we.png", "--model", "mine", "--out", "out")
    for number, face in enumerate(told["faces"], 1):
        written = tables.decode((tmp_path / f"out/we-{number}.png").read_bytes())
        np.testing.assert_array_equal(shown(face, "drawn"), written)
        assert shown(face, "before").shape == shown(face, "back").shape == (512, 512, 3)


def test_model_and_direction_are_those_that_were_picked(address: str) -> None:
    asked = [("mine", "anime"), ("mine", "photo"), ("demo", "anime")]
    answers = [ask(address, ONE, *each).json() for each in asked]
    assert len({told["faces"][0]["drawn"] for told in answers}) == 3
    assert [len(told["notes"]) for told in answers] == [0, 0, 1]
    assert "demo learned from the demo's drawn faces" in answers[2]["notes"][0]


def test_a_picture_without_a_face(address: str) -> None:
    told = ask(address, tables.encode_png(picture()))
    assert told.status_code == 200 and told.json()["faces"] == []
    assert told.json()["notes"][0].startswith("no photographed face found: ")


@pytest.mark.parametrize(
    ("data", "model", "to", "headers", "status", "why"),
    [
        (b"no picture", "mine", "anime", {}, 422, "no image of a known format"),
        (b"", "mine", "anime", {}, 422, "no image of a known format"),
        (ONE[:-60], "mine", "anime", {}, 422, "truncated"),
        (ONE, "other", "anime", {}, 400, "no such model or direction"),
        (ONE, "./mine", "anime", {}, 400, "no such model or direction"),
        (ONE, "mine", "cat", {}, 400, "no such model or direction"),
        (ONE, "mine", "anime", {"Origin": "https://example.org"}, 403, "only the page"),
        (ONE, "mine", "anime", {"Origin": "null"}, 403, "only the page"),
        (ONE, "mine", "anime", {"Host": "example.org"}, 403, "only the page"),
        (ONE, "mine", "anime", {"Host": "a b"}, 403, "only the page"),
    ],
)
def test_refusals_are_one_line(
    address: str, data: bytes, model: str, to: str, headers: dict[str, str], status: int, why: str
) -> None:
    told = ask(address, data, model, to, **headers)
    assert told.status_code == status
    assert why in told.json()["error"] and "\n" not in told.json()["error"]
    assert len(ask(address, ONE).json()["faces"]) == 1  # and it goes on


def test_what_is_too_large_is_refused(address: str) -> None:
    most = ONE + bytes(MOST_BYTES - len(ONE))  # what follows a PNG's end is ignored
    assert len(ask(address, most).json()["faces"]) == 1
    told = ask(address, most + b"0")
    assert told.status_code == 413
    assert told.json()["error"] == "the picture has more than 25 MB: save it smaller"


def test_nothing_else_is_served(address: str) -> None:
    for path in ("app.py", "..%2Fapp.py", "%2e%2e/run.py", "etc/passwd", "faces/../app.py"):
        assert requests.get(f"{address}/{path}", timeout=PATIENCE).status_code == 404, path
    assert requests.get(f"{address}/faces", timeout=PATIENCE).status_code == 405


def test_several_at_once_get_their_own_faces(address: str) -> None:
    places = range(40, 120, 20)
    pictures = [tables.encode_png(picture((x, 70, 40))) for x in places]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda data: ask(address, data).json(), pictures))
    assert [told["faces"][0]["eyes"][0][0] for told in answers] == list(places)


def test_missing_weights_are_told(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with served(*models) as address:
        told = ask(address, ONE)
    assert told.status_code == 422 and "face2anime doctor --fetch" in told.json()["error"]


def test_a_real_portrait(models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    photo = real_portrait(monkeypatch)
    with served(*models) as address:
        (face,) = ask(address, photo.read_bytes()).json()["faces"]
    np.testing.assert_allclose(face["eyes"], EYES["grace_hopper"], atol=6)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from pipeline.cli import main; main()", "serve", *arguments]


def test_it_starts_on_a_free_port_and_an_interrupt_ends_it(models: list[Path]) -> None:
    process = subprocess.Popen(
        command("--port", "0", "--model", "mine"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        assert ">mine</option>" in requests.get(address[0], timeout=PATIENCE).text
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("", "") and process.returncode == 0
    finally:
        process.kill()


def test_a_port_that_is_taken_and_a_model_that_is_not_there(models: list[Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (["--port", port, "--model", "mine"], f"port {port} cannot be had .*: change --port"),
            (["--model", "mime"], "model mime is neither a folder"),
        ):
            done = subprocess.run(
                command(*arguments), capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert done.returncode == 1 and done.stdout == ""
            assert re.fullmatch(rf"face2anime: {words}.*\n", done.stderr), done.stderr

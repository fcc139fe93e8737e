"""``face2anime doctor``: each part by itself, in one line, with the command that mends it."""

from __future__ import annotations

import http.server
import importlib.metadata
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from pipeline import cli
from pipeline.imaging import animeface_process
from pipeline.use import doctor
from pipeline.use.doctor import Check, Finding


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that DVC knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / ".dvc").mkdir()
    write_config(tmp_path)
    return tmp_path


def write_config(place: Path, rest: str = "") -> None:
    (place / ".dvc/config").write_text(f"[core]\n    no_scm = true\n{rest}", encoding="utf-8")


def run(monkeypatch: pytest.MonkeyPatch, **checks: Check) -> Result:
    monkeypatch.setattr(doctor, "CHECKS", checks)
    return CliRunner().invoke(cli.app, ["doctor"])


def one(check: Check) -> Finding:
    (found,) = check()
    return found


def test_a_part_that_breaks_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("half", "told before")
        raise ZeroDivisionError("any\nerror")

    done = run(monkeypatch, broken=broken, fine=lambda: iter([Finding("whole", "told after")]))
    assert done.exit_code == 1
    assert [line.split(maxsplit=2) for line in done.stdout.splitlines()] == [
        ["ok", "half", "told before"],
        ["missing", "broken", "any error: make install"],
        ["ok", "whole", "told after"],
    ]


def test_only_what_is_needed_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Finding("extra", "for this", ok=False, mend="pip install it", needed=False)
    done = run(monkeypatch, extras=lambda: iter([absent]))
    assert (done.exit_code, done.stdout.split()[0]) == (0, "absent")
    assert done.stdout.endswith("for this: pip install it\n")


def test_versions_are_those_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {found.name: found for found in doctor._versions()}
    assert all(found.ok for found in told.values())
    assert told["torch"].told == importlib.metadata.version("torch")
    monkeypatch.setattr(doctor, "PYTHON", ((3, 0), (3, 1)))
    monkeypatch.setattr(doctor, "SHOWN", ("face2anime-no-such",))
    python, package = doctor._versions()
    assert python.fails and python.mend == "make install PYTHON=python3.11"
    assert package.fails and package.mend == "make install"


def test_two_opencv_wheels_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.name for found in doctor._opencv()] == ["OpenCV loads"]
    monkeypatch.setattr(doctor, "OPENCV", ("numpy", "pillow"))
    first = next(doctor._opencv())
    assert first.fails and first.mend == "pip uninstall -y numpy pillow && make install"


def test_device_and_precision_are_the_chosen_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE2ANIME_AUTO_PRECISION", "bf16")
    if one(doctor._device).told.startswith("cpu"):
        assert one(doctor._device).told == "cpu, bf16"


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / "data").mkdir()
    monkeypatch.setattr(doctor, "LEAST_DISK", 0)
    disk, data = doctor._disk()
    assert disk.ok and data.told == str(place / "data")
    monkeypatch.setattr(doctor, "LEAST_DISK", 1 << 80)
    assert next(doctor._disk()).fails


def test_the_store_in_a_file(
    monkeypatch: pytest.MonkeyPatch, place: Path, empty_store: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # making the empty store sets it
    assert one(doctor._store).told.endswith("which the first stage makes")
    assert not (place / "mlflow.db").exists()
    shutil.copy(empty_store, place / "mlflow.db")
    assert one(doctor._store).ok
    with closing(sqlite3.connect(place / "mlflow.db")) as database:
        database.execute("DROP TABLE experiments")
    assert "no such table" in one(doctor._store).told
    (place / "mlflow.db").write_bytes(b"no database, but long enough to be taken for one" * 99)
    broken = one(doctor._store)
    assert broken.fails and broken.mend.startswith(f"mv '{place}/mlflow.db' ")


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_store_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}/good")
        assert one(doctor._store) == Finding("MLflow store", f"http://{address}/good")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{address}/bad")
        assert "answers 503" in one(doctor._store).told and one(doctor._store).fails
        server.shutdown()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{address}")  # nobody listens any more
    gone = one(doctor._store)
    assert gone.fails and gone.mend == "start it, or unset MLFLOW_TRACKING_URI"


def test_the_remote(place: Path) -> None:
    none = one(doctor._remote)
    assert not none.fails and none.mend == "dvc remote add --default team URL"
    write_config(place, f"    remote = team\n['remote \"team\"']\n    url = {place}/store\n")
    absent = one(doctor._remote)
    assert not absent.fails and absent.mend == "dvc push"
    (place / "store").mkdir()
    assert one(doctor._remote) == Finding("DVC remote", f"team, {place}/store")
    write_config(place, "    remote = team\n")
    assert one(doctor._remote).fails


def test_a_remote_that_never_answers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(place, f"    remote = team\n['remote \"team\"']\n    url = {place}\n")
    monkeypatch.setattr(doctor, "PATIENCE", 0.1)
    monkeypatch.setattr(doctor, "_ask", lambda *_: None)
    found = one(doctor._remote)
    assert found.fails and "no answer within 0.1 seconds" in found.told


def test_a_folder_that_is_no_project(place: Path) -> None:
    shutil.rmtree(place / ".dvc")
    found = one(doctor._remote)
    assert found.fails and found.mend == "run this in the project's folder"


def test_detectors_are_tried_on_known_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(doctor._drawings).ok
    monkeypatch.setattr(animeface_process, "look", lambda *_: [])  # as with Pillow 12
    done = run(monkeypatch, animeface=doctor._drawings)
    assert done.exit_code == 1 and "pip install 'pillow<12'" in done.stdout


def test_without_their_weights_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, photos=doctor._photos)
    assert done.exit_code == 1
    assert "center_face is not here: face2anime doctor --fetch" in done.stdout


def test_the_networks_for_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(Path(__file__).parents[3]))
    done = run(monkeypatch, photos=doctor._photos)
    if "is not here" in done.stdout:
        pytest.skip(done.stdout)
    assert done.exit_code == 0 and "find the face of a portrait" in done.stdout
    monkeypatch.setattr(doctor, "HOPPER_EYES", ((10.0, 10.0), (90.0, 10.0)))
    assert one(doctor._photos).fails


def test_all_checks_are_told_on_this_machine() -> None:
    told = [finding.line for finding in doctor.examine()]
    assert len(told) > 20 and not [line for line in told if "\n" in line]
    assert any(line.startswith("ok      animeface") for line in told)

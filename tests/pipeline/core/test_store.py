"""Where runs go in an environment that is not ours; a log that is lost ends no stage."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest

from pipeline.core import store, tracking, view
from pipeline.core.errors import StageError
from tests.project import PATIENCE, environment

OURS = {view.MODELS, view.STAGES}


@pytest.fixture(autouse=True)
def first_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process: no store has failed yet, and none is asked twice."""
    monkeypatch.setattr(store, "_given_up", set())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def log(name: str = "faces") -> None:
    with tracking.stage_run(name, {"size": 64}) as run:
        run.metrics({"kept": 3})


def local_runs(project: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    found = client.search_experiments()
    return list(client.search_runs([each.experiment_id for each in found]))


def test_a_store_of_ours_has_two_experiments_and_no_empty_one(project: Path):
    log()
    client = store.open_store()
    found = {each.name: each.tags for each in client.search_experiments()}
    assert set(found) == OURS
    assert all(found[name][view.NOTE] == view.ABOUT[name] for name in OURS)
    assert found[view.MODELS][view.VIEW_TAG] == view.table()


def test_what_a_user_wrote_and_logged_himself_stays(project: Path):
    client = mlflow.MlflowClient(store.local_uri())
    client.create_run(store.DEFAULT)
    client.create_experiment(view.MODELS, tags={view.NOTE: "mine"})
    client = store.open_store()
    names = {each.name: each.tags for each in client.search_experiments()}
    assert set(names) == OURS | {"Default"}
    assert names[view.MODELS][view.NOTE] == "mine"


def test_a_surrounding_run_and_experiment_are_not_asked(project: Path, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    log()
    (run,) = local_runs(project)
    assert run.data.metrics == {"kept": 3}
    assert {each.name for each in store.open_store().search_experiments()} == OURS


def test_a_relative_file_lies_at_the_root(project: Path, monkeypatch):
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    monkeypatch.setenv(store.NAMED, "sqlite:///mlflow.db")
    assert store.store_uri() == store.local_uri()
    monkeypatch.setenv(store.NAMED, "sqlite:////elsewhere/runs.db")
    assert store.store_uri() == "sqlite:////elsewhere/runs.db"


@pytest.mark.parametrize("folder", ["./mlruns", "mlruns", "file:mlruns", "file:///srv/mlruns"])
def test_a_folder_is_refused_in_one_line(project: Path, monkeypatch, folder: str):
    monkeypatch.setenv(store.NAMED, folder)
    with pytest.raises(StageError, match=r"a folder.*sqlite:///mlflow\.db") as error:
        log()
    assert "\n" not in str(error.value)


def test_a_deleted_experiment_is_restored(project: Path, capsys):
    log()
    client = store.open_store()
    client.delete_experiment(store.experiment_id(client, view.STAGES))
    capsys.readouterr()
    log()
    assert "face2anime-data had been deleted: restored" in capsys.readouterr().err
    assert len(local_runs(project)) == 2


def test_a_store_of_another_mlflow_is_told_in_one_line(project: Path):
    with sqlite3.connect(project / "mlflow.db") as opened:
        opened.execute("UPDATE alembic_version SET version_num = 'fromafuture'")
    with pytest.raises(StageError, match="move it away") as error:
        log()
    assert "\n" not in str(error.value)


def test_a_broken_store_is_told_in_one_line(project: Path):
    (project / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(StageError, match="move it away"):
        log()


class Refusing(BaseHTTPRequestHandler):
    """Answers 401 to all."""

    def do_GET(self) -> None:  # noqa: N802
        self.send_error(401)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def refusing() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_is_down_is_told_once_and_logging_goes_on_here(project, monkeypatch, capsys):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv(store.NAMED, address)
    log("faces")
    log("dedupe")
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "MLflow at" in line] == [
        f"MLflow at {address}: it does not answer. Logged in {project / 'mlflow.db'}"
    ]
    assert {run.info.run_name for run in local_runs(project)} == {"faces", "dedupe"}


def test_a_server_that_asks_for_a_password_names_it(project: Path, monkeypatch, capsys):
    with refusing() as address:
        monkeypatch.setenv(store.NAMED, address)
        log()
    assert "MLFLOW_TRACKING_PASSWORD" in capsys.readouterr().err
    assert len(local_runs(project)) == 1


def test_a_server_that_goes_away_ends_no_stage(project: Path, tmp_path: Path, monkeypatch, capsys):
    """What comes after is in a run of the local store, with the params."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'remote.db'}"]
    env = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    server = subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        monkeypatch.setenv(store.NAMED, f"http://127.0.0.1:{port}")
        wait_for(f"http://127.0.0.1:{port}/health", server)
        with tracking.stage_run("faces", {"size": 64}) as run:
            run.metrics({"before": 1})
            assert local_runs(project) == []
            end(server)
            run.metrics({"after": 2})
            run.tag(told="yes")
    finally:
        end(server)
    (kept,) = local_runs(project)
    assert (kept.info.run_name, kept.info.status) == ("faces", "FINISHED")
    assert kept.data.metrics == {"after": 2} and kept.data.params == {"size": "64"}
    assert kept.data.tags["told"] == "yes"
    assert capsys.readouterr().err.count("MLflow at") == 1


def wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("MLflow's server did not start")


def end(server: subprocess.Popen) -> None:
    """The server and the workers that it started."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()

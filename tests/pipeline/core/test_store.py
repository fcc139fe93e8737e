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
import pandas as pd
import pytest
from filelock import FileLock, Timeout

from pipeline import cli
from pipeline.core import backlog, store, tracking, view
from pipeline.core.errors import StageError
from tests.faults.faults import can_mount
from tests.pipeline.conftest import write_params
from tests.project import PATIENCE, ROOT, environment

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
    client = mlflow.MlflowClient(store.local_uri())  # MLflow keeps a deleted file open by its URL
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


def test_a_folder_in_the_place_of_the_store_is_told(project: Path):
    """In a process of its own, because MLflow hung on it once."""
    (project / "mlflow.db").unlink()
    (project / "mlflow.db").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LOG], cwd=project, text=True, capture_output=True, timeout=PATIENCE,
        env=environment(PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "mlflow.db cannot be used: move it away" in done.stderr.strip().splitlines()[-1]


LOG = """
from pipeline.core import tracking
from pipeline.core.commands import mistakes_in_one_line
with mistakes_in_one_line("faces"), tracking.stage_run("faces", {"size": 64}) as run:
    run.metrics({"kept": 3})
"""
ONE_FILE_READ_ONLY = 'mount --bind {0} {0} && mount -o remount,bind,ro {0} {0} && exec "$@"'


@pytest.mark.skipif(not can_mount(), reason="no mounting in a namespace of this user")
def test_a_store_that_may_not_be_written_is_told(project: Path):
    script = ONE_FILE_READ_ONLY.format("mlflow.db")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", LOG],
        cwd=project, text=True, capture_output=True, env=environment(PYTHONPATH=str(ROOT)),
        timeout=PATIENCE,
    )  # fmt: skip
    said = done.stderr.strip().splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "mlflow.db cannot be used: a file may not be written" in said[-1], done.stderr
    assert "readonly" in said[-1] and "make it writable" in said[-1], done.stderr


# On a disk that ends with the store.
SMALL_DISK = "mkdir small && mount -t tmpfs -o size=$(( $(du -k mlflow.db | cut -f1) + 256 ))k "
SMALL_DISK += 'tmpfs small && cp mlflow.db small && cd small && exec "$@"'
FILL = """
import os
from pathlib import Path
with open("rest", "wb", buffering=0) as file:
    try:
        while file.write(bytes(1024)):
            pass
    except OSError:
        pass
"""
FULL_IN_THE_MIDDLE = f"""
from pipeline.core import tracking
with tracking.stage_run("train@x", {{"size": 64}}, tags={{"device": "cpu"}}) as run:
    run.metrics({{"before": 1}}){FILL.replace(chr(10), chr(10) + "    ")}
    for number in range(40):
        run.metrics({{f"after{{number}}": number for number in range(400)}})
print("trained to the end")
"""


def on_a_small_disk(project: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", sys.executable, "-c", script],
        cwd=project, text=True, capture_output=True, env=environment(PYTHONPATH=str(ROOT)),
        timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.skipif(not can_mount(), reason="no mounting in a namespace of this user")
def test_a_store_on_a_full_disk_is_told_in_one_line(project: Path):
    done = on_a_small_disk(project, f"{FILL}{LOG}")
    said = done.stderr.strip().splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "mlflow.db cannot be used: the disk is full: free some of it" in said[-1], done.stderr


@pytest.mark.skipif(not can_mount(), reason="no mounting in a namespace of this user")
def test_a_disk_that_becomes_full_ends_no_training_of_its_log(project: Path):
    done = on_a_small_disk(project, FULL_IN_THE_MIDDLE)
    assert done.returncode == 0 and done.stdout == "trained to the end\n", done.stderr
    told = "MLflow takes no more of this run: the disk is full"
    assert done.stderr.count(told) == 1 and done.stderr.count("MLflow") == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_a_store_that_was_cut_off_or_overwritten_is_told_in_one_line(project: Path, part: float):
    """Or used, where what is damaged is not asked."""
    path = project / "mlflow.db"
    data = path.read_bytes()
    at = int(len(data) * part)
    for changed in (data[:at], data[:at] + b"\xa5" * 4096 + data[at + 4096 :]):
        for journal in project.glob("mlflow.db-*"):
            journal.unlink()
        other = project / "other.db"
        other.write_bytes(changed)
        other.replace(path)  # another file, so that MLflow opens it anew
        try:
            log()
        except StageError as error:
            assert "move it away" in str(error) and "\n" not in str(error)


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
        f"MLflow at {address}: it does not answer. Logged in {project / 'mlflow.db'}; "
        "`face2anime sync` sends it there later"
    ]
    assert {run.info.run_name for run in local_runs(project)} == {"faces", "dedupe"}


def test_a_server_that_asks_for_a_password_names_it(project: Path, monkeypatch, capsys):
    with refusing() as address:
        monkeypatch.setenv(store.NAMED, address)
        log()
    assert "MLFLOW_TRACKING_PASSWORD" in capsys.readouterr().err
    assert len(local_runs(project)) == 1


def test_no_lock_is_held_while_a_server_is_waited_for(project: Path, monkeypatch, capsys):
    """Or every other stage would wait with this one, without a word."""
    held: list[str] = []

    def look(handler: Refusing) -> None:
        for lock in (project / ".cache").rglob("*.lock"):
            try:
                with FileLock(lock, blocking=False):
                    pass
            except Timeout:
                held.append(lock.name)
        handler.send_error(401)

    monkeypatch.setattr(Refusing, "do_GET", look)
    with refusing() as address:
        log()  # the locks' files are there
        assert list((project / ".cache").rglob("*.lock"))
        monkeypatch.setenv(store.NAMED, address)
        log()
    assert "MLflow at" in capsys.readouterr().err and held == []


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen]:
    """MLflow's own server, its runs in ``folder``; killed at the end of the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'remote.db'}"]
    env = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    server = subprocess.Popen(command, cwd=folder, env=env, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield server
    finally:
        end(server)


def test_a_server_that_goes_away_ends_no_stage_and_gets_all_later(
    project: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    """What comes after is in a run of the local store, with the params; `sync` sends it."""
    port, sheet = free_port(), project / "sheet.txt"
    monkeypatch.setenv(store.NAMED, f"http://127.0.0.1:{port}")
    sheet.write_text("seen", encoding="utf-8")
    with (
        mlflow_server(tmp_path, port) as server,
        tracking.stage_run("faces", {"size": 64}, inputs=[Path("data")]) as run,
    ):
        run.metrics({"before": 1})
        run.curves(pd.DataFrame({"images": [1, 2], "loss": [0.5, 0.25]}))
        assert local_runs(project) == []
        end(server)
        run.curves(pd.DataFrame({"images": [3, 4], "loss": [0.2, 0.1]}))
        run.metrics({"after": 2})
        run.artifact(sheet)
        run.tag(told="yes")
    (kept,) = local_runs(project)
    assert (kept.info.run_name, kept.info.status) == ("faces", "FINISHED")
    assert kept.data.metrics == {"after": 2, "losses/loss": 0.1}
    assert kept.data.params == {"size": "64"} and kept.data.tags["told"] == "yes"
    log("dedupe")  # while nobody is there
    said = capsys.readouterr().err
    assert said.count("MLflow at") == 1 and "face2anime sync" in said and "Traceback" not in said
    with pytest.raises(StageError, match="it does not answer"):
        list(backlog.send())
    with mlflow_server(tmp_path, port):
        cli.sync(None)
        cli.sync(None)
        told = capsys.readouterr().out.splitlines()
        address = f"http://127.0.0.1:{port}"
        assert told == [f"{name}: sent to {address}" for name in ("faces", "dedupe")] + [
            "nothing waits: MLflow has every run"
        ]
        there = mlflow.MlflowClient(address)
        runs = there.search_runs([store.experiment_id(there, view.STAGES)])
        found = {each.info.run_name: each for each in runs}
        assert len(runs) == 2 and {each.info.status for each in runs} == {"FINISHED"}
        whole, alone = found["faces"], found["dedupe"]
        assert whole.data.metrics == {"before": 1, "after": 2, "losses/loss": 0.1}
        curve = there.get_metric_history(whole.info.run_id, "losses/loss")
        assert sorted((point.step, point.value) for point in curve) == [
            (1, 0.5), (2, 0.25), (3, 0.2), (4, 0.1),
        ]  # fmt: skip
        assert [each.path for each in there.list_artifacts(whole.info.run_id)] == ["sheet.txt"]
        assert len(whole.inputs.dataset_inputs) == 1
        assert alone.data.metrics == {"kept": 3} and alone.data.params == {"size": "64"}
        assert not {tracking.UNSENT, tracking.SENT_AS} & {*whole.data.tags, *alone.data.tags}


def test_nothing_is_sent_twice_after_a_broken_attempt(project: Path, tmp_path: Path, monkeypatch):
    """The server is another file here: what was begun there is found again by the local run."""
    monkeypatch.setenv(store.NAMED, f"http://127.0.0.1:{free_port()}")
    log("faces")
    monkeypatch.setenv(store.NAMED, f"sqlite:///{tmp_path / 'there.db'}")
    ended = mlflow.MlflowClient.set_terminated

    def broken(*_: object, **__: object) -> None:
        raise OSError("gone again")

    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", broken)
    with pytest.raises(StageError, match="gone again; the rest waits"):
        list(backlog.send())
    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", ended)
    assert len(list(backlog.send())) == 1 and not list(backlog.send())
    there = mlflow.MlflowClient(store.store_uri())
    (sent,) = there.search_runs([store.experiment_id(there, view.STAGES)])
    assert sent.data.metrics == {"kept": 3} and sent.info.status == "FINISHED"
    assert len(there.get_metric_history(sent.info.run_id, "kept")) == 1


def test_without_a_server_that_is_named_sync_says_so(project: Path, monkeypatch) -> None:
    monkeypatch.setenv(store.NAMED, f"http://127.0.0.1:{free_port()}")
    log("faces")
    monkeypatch.delenv(store.NAMED)
    with pytest.raises(StageError, match=store.NAMED):
        list(backlog.send())


def test_a_password_in_the_address_is_neither_printed_nor_kept(project, monkeypatch, capsys):
    monkeypatch.setenv(store.NAMED, f"http://me:canary@127.0.0.1:{free_port()}")
    log()
    said = capsys.readouterr()
    assert "MLflow at http://127.0.0.1" in said.err and "canary" not in said.out + said.err
    assert b"canary" not in (project / "mlflow.db").read_bytes()


@pytest.mark.parametrize("name", ["faces", "train@x"])
def test_the_store_may_be_deleted_in_the_middle(project: Path, capfd, name: str) -> None:
    """The run goes on in a new one, with its params; this is said in one line."""
    write_params({"compute": {"device": "cpu"}})
    with tracking.stage_run(name, {"size": 64}) as run:
        run.metrics({"before": 1})
        capfd.readouterr()
        (project / "mlflow.db").unlink()
        for step in range(3):
            run.curves(pd.DataFrame({"images": [step], "loss": [0.5]}))
        run.metrics({"after": 2})
    said = capfd.readouterr().err
    assert said.count("is gone; the run goes on") == 1 and "Traceback" not in said
    (kept,) = local_runs(project)
    assert kept.info.status == "FINISHED" and kept.data.params == {"size": "64"}
    assert kept.data.metrics == {"after": 2, "losses/loss": 0.5}
    log("dedupe")
    assert len(local_runs(project)) == 2


def test_a_store_that_breaks_in_the_middle_ends_no_stage(project: Path, capfd) -> None:
    with tracking.stage_run("faces", {}) as run:
        capfd.readouterr()
        path = project / "mlflow.db"
        path.write_bytes(b"no database" * 1000)
        run.metrics({"after": 1})
        run.metrics({"more": 2})
    said = capfd.readouterr().err
    assert said.count("MLflow takes no more of this run") == 1 and "Traceback" not in said, said


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

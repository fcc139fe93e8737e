"""`make server`: MLflow's server on a store of one's choice, on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import mlflow
import pytest

from pipeline.core import store, tracking
from tests.postgres_server import answers, free_port, wait_until
from tests.project import ROOT, environment


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_it_serves_the_store_that_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, team = free_port(), tmp_path / "team.db"
    shutil.copy(project / "mlflow.db", team)
    # `-o install`: the environment is there, and not the project's own.
    command = ["make", "-f", str(ROOT / "Makefile"), "-o", "install", "server", f"PORT={port}"]
    server = subprocess.Popen(
        [*command, f"STORE=sqlite:///{team}"], cwd=tmp_path, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/health"), server)
        monkeypatch.setattr(store, "_given_up", set())
        monkeypatch.setenv(store.NAMED, address)
        Path("told.txt").write_text("x")
        with tracking.stage_run("faces", {"size": 64}) as run:
            run.metrics({"kept": 3})
            run.artifact(Path("told.txt"))
        assert len(list((tmp_path / "mlruns").rglob("told.txt"))) == 1
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    kept = mlflow.MlflowClient(f"sqlite:///{team}").get_run(run.run_id)
    assert kept.data.metrics == {"kept": 3}

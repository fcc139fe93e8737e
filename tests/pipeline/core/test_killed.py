"""Runs of stages that were killed are no longer running, and all others are left alone."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.core import killed, store, tracking, view
from tests.project import ROOT, environment

SCRIPT = """
import os, signal, sys
from pipeline.core import tracking
with tracking.stage_run("train@x", {}, tags={"key": "abc"}) as run:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def statuses() -> dict[str, str]:
    client = store.open_store()
    ours = [store.experiment_id(client, name) for name in view.ABOUT]
    return {run.info.run_name: run.info.status for run in client.search_runs(ours)}


def test_the_run_of_a_killed_stage_is_marked_at_the_next_start(project: Path, capsys) -> None:
    (project / "params.yaml").write_text("compute: {device: cpu}\n", encoding="utf-8")
    env = environment(PYTHONPATH=str(ROOT), DVC_ROOT=str(project))
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=project, env=env, check=False)
    assert done.returncode == -signal.SIGKILL and statuses() == {"x": "RUNNING"}
    with tracking.stage_run("faces", {}):
        assert statuses() == {"x": "KILLED", "faces": "RUNNING"}
    assert "marked as killed, their processes are gone: x" in capsys.readouterr().err
    # Gone on with, it is running again, and this process's.
    with tracking.stage_run("train@x", {}, resume_key="abc"):
        assert statuses()["x"] == "RUNNING"
        killed.mark(store.open_store())
    assert statuses() == {"x": "FINISHED", "faces": "FINISHED"}


def test_only_what_is_known_to_be_gone_is(project: Path) -> None:
    machine, pid, start = killed.this_process().rsplit(":", 2)
    assert not killed.is_gone(killed.this_process())
    assert killed.is_gone(f"{machine}:{pid}:{float(start) - 60:.0f}")  # its number is used again
    assert not killed.is_gone(f"elsewhere{machine}:{pid}:0")
    for text in ("", "x", f"{platform.node()}:x:y", f"{platform.node()}:1"):
        assert not killed.is_gone(text)


def test_the_process_of_another_user_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: psutil.Process) -> float:
        raise psutil.AccessDenied(os.getpid())

    told = killed.this_process()
    monkeypatch.setattr(psutil.Process, "create_time", denied)
    assert not killed.is_gone(told)

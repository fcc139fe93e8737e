"""A project that is moved or copied keeps its pictures, and its database stays inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from pipeline.core import store, store_file, tracking
from pipeline.core.errors import StageError
from tests.project import ROOT, environment


def log(name: str, file: Path) -> None:
    with tracking.stage_run(name, {}) as run:
        run.artifact(file)


def pictures(client: mlflow.MlflowClient) -> dict[str, str]:
    """Run → what its artifact says, fetched as MLflow does."""
    ours = [each.experiment_id for each in client.search_experiments()]
    return {
        run.info.run_name: Path(client.download_artifacts(run.info.run_id, "sheet.txt")).read_text(
            encoding="utf-8"
        )
        for run in client.search_runs(ours)
    }


@pytest.mark.parametrize("move", [shutil.copytree, shutil.move], ids=["copied", "moved"])
def test_artifacts_follow_the_store(project: Path, monkeypatch, move) -> None:
    Path("sheet.txt").write_text("one", encoding="utf-8")
    log("one", Path("sheet.txt"))
    there = project.parent / "another place"
    os.chdir(project.parent)
    move(project, there)
    before = sorted((project / "mlruns").rglob("*"))
    monkeypatch.chdir(there)
    monkeypatch.setenv("DVC_ROOT", str(there))
    Path("sheet.txt").write_text("two", encoding="utf-8")
    log("two", Path("sheet.txt"))
    shutil.rmtree(project, ignore_errors=True)
    assert pictures(store.open_store()) == {"one": "one", "two": "two"}
    assert len(list((there / "mlruns").rglob("sheet.txt"))) == 2
    assert not before or move is shutil.copytree  # nothing landed where the old folder was


def test_what_did_not_come_along_is_looked_for_where_it_was(project: Path, monkeypatch) -> None:
    Path("sheet.txt").write_text("one", encoding="utf-8")
    log("one", Path("sheet.txt"))
    there = project.parent / "another place"
    there.mkdir()
    shutil.copy(project / "mlflow.db", there)
    monkeypatch.chdir(there)
    monkeypatch.setenv("DVC_ROOT", str(there))
    shutil.copy(project / "sheet.txt", "sheet.txt")
    log("two", Path("sheet.txt"))
    assert pictures(store.open_store()) == {"one": "one", "two": "one"}
    assert len(list((project / "mlruns").rglob("sheet.txt"))) == 1


def test_artifacts_that_a_user_keeps_elsewhere_stay_there(project: Path) -> None:
    client = mlflow.MlflowClient(store.local_uri())
    client.create_experiment("face2anime", artifact_location="s3://bucket/runs")
    client.create_experiment("mine", artifact_location=(project / "disk").as_uri())
    client = store.open_store()
    kept = {each.name: each.artifact_location for each in client.search_experiments()}
    assert kept["face2anime"] == "s3://bucket/runs" and kept["mine"].endswith("/disk")


SCRIPT = """
from pathlib import Path
from pipeline.core import tracking
Path("sheet.txt").write_text("x")
with tracking.stage_run("faces", {"a": 1}) as run:
    run.metrics({"kept": 3})
    run.artifact(Path("sheet.txt"))
"""


def test_a_folder_whose_name_means_something_in_urls_keeps_its_store(tmp_path: Path) -> None:
    project = tmp_path / "home/100% #1?x=y"
    project.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project, env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "home").iterdir()] == [project.name]
    assert {"mlflow.db", "mlruns", "sheet.txt"} <= {path.name for path in project.iterdir()}
    assert len(list((project / "mlruns").rglob("sheet.txt"))) == 1


@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b"])
def test_a_path_that_no_url_can_tell_is_refused(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="opens no database"):
        store_file.uri(tmp_path / name / "mlflow.db")
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    assert store_file.uri(Path.cwd() / "mlflow.db") == "sqlite:///mlflow.db"

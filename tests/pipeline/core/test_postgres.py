"""A team's server on PostgreSQL, with passwords: whatever happens to it, no run and no metric is
lost or doubled, and nobody reads a traceback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.core import backlog, store, tracking, view, yaml_files
from tests.faults.bench import Project, finish, make_project
from tests.postgres_server import COMPOSE, Server, postgres, tracking_server
from tests.project import PATIENCE, ROOT, environment

pytest.importorskip("psycopg2", reason="pip install 'face2anime[server]'")
pytest.importorskip("flask_wtf", reason="pip install 'face2anime[server]'")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="PostgreSQL as Debian has it")
POINTS = 40  # of a curve
FACE2ANIME = [sys.executable, "-c", "from pipeline.cli import main; main()"]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as server:
        yield server.uri


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with tracking_server(tmp_path_factory.mktemp("mlflow"), database) as made:
        yield made


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    """Of a user who may; as in a new process no store has failed yet."""
    monkeypatch.setattr(store, "_given_up", set())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, value in server.login.items():
        monkeypatch.setenv(name, value)
    return mlflow.MlflowClient(server.address)


def runs_of(client: mlflow.MlflowClient, mark: str) -> list[mlflow.entities.Run]:
    """Those whose param ``mark`` is there, of all experiments."""
    found = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(found, f"params.mark = '{mark}'"))


def whole(client: mlflow.MlflowClient, run: mlflow.entities.Run, points: int = POINTS) -> None:
    """The run has ended, and has each point of its curve once."""
    assert run.info.status == "FINISHED" and run.data.metrics["kept"] == 3, run.info.run_name
    curve = client.get_metric_history(run.info.run_id, "losses/loss")
    assert sorted((each.step, each.value) for each in curve) == [(n, n / 8) for n in range(points)]
    assert len(client.get_metric_history(run.info.run_id, "kept")) == 1
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["told.txt"]


PIPELINE = """
import sys
from pathlib import Path
import pandas as pd
from pipeline.core import tracking
mark, stages, points = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
told = Path("told.txt")
told.write_text(mark)
for number in range(stages):
    with tracking.stage_run(["faces", "split", "dedupe"][number % 3], {"mark": mark}) as run:
        for first in range(0, points, 10):
            steps = range(first, min(first + 10, points))
            run.curves(pd.DataFrame({"images": steps, "loss": [n / 8 for n in steps]}))
        run.metrics({"kept": 3})
        run.artifact(told)
"""


def pipeline(folder: Path, mark: str, stages: int, **env: str) -> subprocess.Popen[str]:
    """A process that logs ``stages`` runs out of a project of its own."""
    folder.mkdir(exist_ok=True)
    env = {"PYTHONPATH": str(ROOT), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", **env}
    return subprocess.Popen(
        [sys.executable, "-c", PIPELINE, mark, str(stages), str(POINTS)], cwd=folder, text=True,
        env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def sync(folder: Path, **env: str) -> tuple[int, str]:
    """`face2anime sync` in a project."""
    done = subprocess.run(
        [*FACE2ANIME, "sync"], cwd=folder, text=True, timeout=PATIENCE,
        capture_output=True, env=environment(PYTHONPATH=str(ROOT), **env),
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, (done.stdout + done.stderr).strip()


def test_four_pipelines_at_once_lose_and_double_nothing(server, client, tmp_path) -> None:
    """They make the experiments of a fresh server at the same moment, too."""
    running = [pipeline(tmp_path / f"p{n}", "four", 3, **server.login) for n in range(4)]
    said = [process.communicate(timeout=PATIENCE)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert not any("Traceback" in text or "MLflow at" in text for text in said), said
    found = runs_of(client, "four")
    assert Counter(run.info.run_name for run in found) == {"faces": 4, "split": 4, "dedupe": 4}
    for run in found:
        whole(client, run)


def test_a_server_that_is_killed_in_the_middle_of_a_training_and_comes_back(
    server, client, tmp_path
) -> None:
    project = Project(make_project(tmp_path / "a project"))
    project.prepare("train")
    process = project.start("train", env=server.login)
    while process.poll() is None and not trained(client):
        time.sleep(0.05)
    server.kill()
    ended = finish(process)
    assert ended.code == 0 and "Traceback" not in ended.printed, ended.printed
    assert ended.printed.count("MLflow at") == 1 and "face2anime sync" in ended.printed
    server.start()
    code, said = sync(project.folder, **server.login)
    assert code == 0 and "sent to" in said, (said, ended.printed)
    assert sync(project.folder, **server.login) == (0, "nothing waits: MLflow has every run")
    (run,) = trained(client)
    assert run.info.status == "FINISHED"
    losses = [name for name in run.data.metrics if name.startswith("losses/")]
    assert losses
    for name in losses:
        steps = sorted(each.step for each in client.get_metric_history(run.info.run_id, name))
        assert steps == [16, 32, 48, 64], name
    assert any("sample" in each.path for each in client.list_artifacts(run.info.run_id))


def trained(client: mlflow.MlflowClient) -> list[mlflow.entities.Run]:
    """Runs of trainings that have a point of a curve."""
    models = client.get_experiment_by_name(view.MODELS)
    found = client.search_runs([models.experiment_id]) if models else []
    return [run for run in found if any(name.startswith("losses/") for name in run.data.metrics)]


def test_a_wrong_password_is_told_in_a_line_and_costs_no_run(server, client, tmp_path) -> None:
    wrong = {**server.login, "MLFLOW_TRACKING_PASSWORD": "canary-of-a-slip"}
    process = pipeline(tmp_path / "p", "slip", 2, **wrong)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert said.count("MLflow at") == 1 and "MLFLOW_TRACKING_PASSWORD" in said, said
    assert "Traceback" not in said and "canary" not in said
    code, told = sync(tmp_path / "p", **wrong)
    assert code == 1 and "MLFLOW_TRACKING_PASSWORD" in told and len(told.splitlines()) == 1, told
    assert runs_of(client, "slip") == []
    assert sync(tmp_path / "p", **server.login)[0] == 0
    for run in runs_of(client, "slip"):
        whole(client, run)
    assert len(runs_of(client, "slip")) == 2


def test_a_days_backlog_is_replayed_once_though_the_server_dies_meanwhile(
    server, client, tmp_path
) -> None:
    server.kill()
    process = pipeline(tmp_path / "p", "day", 12, **server.login)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and said.count("MLflow at") == 1, said
    server.start()
    sending = subprocess.Popen(
        [*FACE2ANIME, "sync"], cwd=tmp_path / "p", text=True,
        env=environment(PYTHONPATH=str(ROOT), **server.login), stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    while sending.poll() is None and len(runs_of(client, "day")) < 3:
        time.sleep(0.02)
    server.kill()
    _, told = sending.communicate(timeout=PATIENCE)
    assert sending.returncode == 1 and "Traceback" not in told, told
    assert "the rest waits" in told.strip().splitlines()[-1], told
    server.start()
    assert sync(tmp_path / "p", **server.login)[0] == 0
    assert sync(tmp_path / "p", **server.login) == (0, "nothing waits: MLflow has every run")
    found = runs_of(client, "day")
    assert len(found) == 12
    for run in found:
        whole(client, run)


def test_the_database_itself_as_store_goes_away_and_comes_back(project, monkeypatch, capsys):
    """`MLFLOW_TRACKING_URI` may name it; MLflow itself would ask for minutes, without a word."""
    monkeypatch.setattr(store, "_given_up", set())
    with postgres() as made:
        monkeypatch.setenv(store.NAMED, made.uri)
        with tracking.stage_run("faces", {"mark": "x"}) as run:
            run.curves(pd.DataFrame({"images": [0, 1], "loss": [0.0, 0.125]}))
            made.stop()
            run.curves(pd.DataFrame({"images": [2, 3], "loss": [0.25, 0.375]}))
            run.metrics({"kept": 3})
            Path("told.txt").write_text("x")
            run.artifact(Path("told.txt"))
        said = capsys.readouterr().err
        assert said.count("MLflow at") == 1 and "Traceback" not in said, said
        assert made.password not in said
        made.start()
        monkeypatch.setattr(store, "_given_up", set())
        assert len(list(backlog.send())) == 1 and not list(backlog.send())
        there = mlflow.MlflowClient(made.uri)
        (found,) = runs_of(there, "x")
        whole(there, found, points=4)
        monkeypatch.setenv(store.NAMED, made.uri.replace(made.password, "canary"))
        with tracking.stage_run("split", {}):
            pass
        said = capsys.readouterr().err
        assert "password authentication failed" in said and "canary" not in said, said


def test_the_compose_file_has_the_versions_that_were_tested() -> None:
    script = yaml_files.read(COMPOSE)["services"]["mlflow"]["command"][-1]
    pins = (ROOT / "constraints.txt").read_text("utf-8").lower().splitlines()
    wanted = [word for word in script.split() if "==" in word]
    assert len(wanted) == 3 and set(wanted) <= set(pins)


def test_the_page_has_the_command_of_the_compose_file() -> None:
    """So that what was run here is what the page tells to run."""
    script = yaml_files.read(COMPOSE)["services"]["mlflow"]["command"][-1].partition("exec ")[2]
    page = (ROOT / "docs/experiments.md").read_text("utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("mlflow server")]
    assert line == " ".join(script.split()).replace("/artifacts", "artifacts")
    for name in yaml_files.read(COMPOSE)["services"]["mlflow"]["environment"]:
        assert f"{name}=" in page, name

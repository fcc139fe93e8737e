"""The whole pipeline as a user runs it: ``dvc repro`` at a tiny scale, in a copy of the repository.

The copy's path has a space. What follows `repro` runs in the same copy, in any order: each test
leaves it as `repro` did, but for more runs in the store.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.core import view, yaml_files
from tests.project import PATIENCE, copy_project, environment
from tests.ssh_server import SSHD, ssh_server

TINY = {
    "compute": {"device": "cpu"},
    "demo": {"faces": 150, "photos": 150},
    "split": {"val": 0.2, "test": 0.2},
    "recognizer": {"images": 512, "image_size": 32},
    "train": {
        "image_size": 32,
        "budget_images": 64,
        "batch_size": 8,
        "log_every": 16,
        "sample_every": 32,
        "state_every": 16,
    },
    "evaluate": {"bootstrap": 20, "faces": 10},
}
STAGES = [
    "demo",
    "discover",
    "crawl",
    "faces",
    "dedupe",
    "celeba",
    "split",
    "recognizer",
    "cyclegan",  # a training, called by what it makes
    "xgan",
    "compare",
]

FIRST = "mlflow.db.repro"  # the store as `repro` left it; git ignores it, too

pytestmark = pytest.mark.e2e


def make_tiny(project: Path) -> None:
    """Params that run the whole pipeline in a minute or two."""
    path = project / "params.yaml"
    params = yaml_files.read(path)
    for section, values in TINY.items():
        params[section].update(values)
    path.write_text(yaml_files.dumps(params), encoding="utf-8")


def run(project: Path, *command: str, fails: bool = False) -> str:
    """Run a command in the project and return what it printed."""
    result = subprocess.run(
        command,
        cwd=project,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert (result.returncode != 0) == fails, result.stdout
    return result.stdout


def dvc(project: Path, *arguments: str, fails: bool = False) -> str:
    return run(project, sys.executable, "-m", "dvc", *arguments, fails=fails)


def runs(project: Path, store: str = "mlflow.db") -> list[mlflow.entities.Run]:
    mlflow.set_tracking_uri(f"sqlite:///{project / store}")
    return mlflow.search_runs(search_all_experiments=True, output_format="list")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the tiny pipeline, reproduced once."""
    project = copy_project(tmp_path_factory.mktemp("e2e") / "my face2anime", git=True)
    make_tiny(project)
    run(project, "git", "commit", "-qam", "tiny")  # runs are called by what differs from the commit
    dvc(project, "repro")
    shutil.copy(project / "mlflow.db", project / FIRST)
    run(project, "git", "add", "-A")
    run(project, "git", "commit", "-qm", "reproduced")
    return project


def test_every_output_is_there(project: Path) -> None:
    lock = yaml_files.read(project / "dvc.lock")
    outs = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    assert len(outs) > 20
    assert [out for out in outs if not (project / out).exists()] == []
    page = (project / "reports/index.html").read_text(encoding="utf-8")
    assert "cyclegan" in page and "xgan" in page
    assert list((project / "reports/sheets/train/xgan").glob("*.png"))


def test_planted_faults_are_counted_and_explicit_posts_never_listed(project: Path) -> None:
    crawl = json.loads((project / "reports/metrics/crawl.json").read_text(encoding="utf-8"))
    posts = pd.read_parquet(project / "data/posts.parquet")
    assert sum(crawl["outcomes"].values()) == crawl["posts"] == len(posts)
    assert crawl["outcomes"]["gone"] == 1
    assert crawl["outcomes"]["duplicate_bytes"] >= 1
    failures = pd.read_parquet(project / "data/dropped/posts.parquet")
    assert len(failures) == len(posts) - crawl["outcomes"]["ok"]
    assert set(posts["rating"].dropna()) <= {"general", "safe", ""}


def test_one_run_a_stage_and_evaluation_in_its_training(project: Path) -> None:
    logged = runs(project, FIRST)
    assert Counter(run.info.run_name for run in logged) == Counter(STAGES)
    assert {run.info.status for run in logged} == {"FINISHED"}
    ours = {each.name: each.experiment_id for each in mlflow.search_experiments()}
    assert set(ours) == {view.MODELS, view.STAGES}  # and no empty one of MLflow's own
    models = [run for run in logged if run.info.experiment_id == ours[view.MODELS]]
    assert {run.info.run_name for run in models} == {"cyclegan", "xgan"}
    for run in logged:
        assert run.data.params and run.data.metrics, run.info.run_name
        assert run.data.tags["git_commit"]
        inputs = [item.dataset for item in run.inputs.dataset_inputs]
        assert inputs or run.info.run_name == "demo", run.info.run_name
        assert all(len(item.digest) >= 32 for item in inputs), run.info.run_name
    train = next(run for run in logged if run.info.run_name == "xgan")
    assert {"train.lr", "variant.architecture", "evaluate.seed"} <= set(train.data.params)
    shown = {"kid", "cycle", "minutes", "held_out/kid_photos2anime", "quality/kid_anime2photos"}
    assert shown <= set(train.data.metrics)
    assert {"test_quality/kid_photos2anime"} <= set(logged[0].data.metrics)  # of `compare`


def test_the_winner_is_registered_as_the_champion(project: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{project / FIRST}")
    champion = mlflow.MlflowClient().get_model_version_by_alias("face2anime", "champion")
    board = pd.read_csv(project / "reports/leaderboard.csv")
    assert champion.tags["variant"] == board["variant"].iloc[0]
    assert champion.tags["measured"].endswith(f"/{board['variant'].iloc[0]}.json")


def test_nothing_runs_twice_and_the_tree_stays_clean(project: Path) -> None:
    assert "Running stage" not in dvc(project, "repro")
    assert run(project, "git", "status", "--porcelain") == ""


@pytest.fixture
def author(project: Path, tmp_path: Path) -> Path:
    """A clone whose DVC cache is the project's: what is set up in it, the project never sees."""
    clone = tmp_path / "author"
    run(tmp_path, "git", "clone", "-q", str(project), str(clone))
    dvc(clone, "cache", "dir", "--local", str(project / ".dvc/cache"))
    return clone


@contextmanager
def remote(where: str, folder: Path) -> Iterator[str]:
    """The URL of a DVC remote in ``folder``, reached as a folder or over SSH."""
    if where == "folder":
        yield str(folder)
        return
    pytest.importorskip("dvc_ssh", reason="no dvc-ssh: pip install -e '.[dev]'")
    if not SSHD:
        pytest.skip("no SSH server: apt-get install openssh-server")
    with ssh_server(folder) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(server.home))
        yield f"{server.address}{folder}/remote"


def share(project: Path, url: str) -> None:
    """What the README tells who has the data to do."""
    dvc(project, "remote", "add", "--default", "team", url)
    run(project, "git", "commit", "-qam", "where the data is")
    dvc(project, "push")


def assert_same_files(one: Path, other: Path) -> None:
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    assert files
    assert [
        path for path in files if (one / path).read_bytes() != (other / path).read_bytes()
    ] == []


@pytest.mark.parametrize("where", ["folder", "ssh"])
def test_a_teammate_pulls_the_same_bytes_and_runs_nothing(
    project: Path, author: Path, where: str, tmp_path: Path
) -> None:
    teammate = tmp_path / "teammate"
    with remote(where, tmp_path / where) as url:
        share(author, url)
        run(tmp_path, "git", "clone", "-q", str(author), str(teammate))
        dvc(teammate, "pull")
    for folder in ("data", "checkpoints", "reports"):
        assert_same_files(project / folder, teammate / folder)
    assert "Running stage" not in dvc(teammate, "repro")
    assert run(teammate, "git", "status", "--porcelain") == ""


def test_another_project_takes_one_data_set(project: Path, author: Path, tmp_path: Path) -> None:
    share(author, str(tmp_path / "remote"))
    other = tmp_path / "other"
    run(tmp_path, "git", "init", "-q", str(other))
    dvc(other, "init", "-q")
    dvc(other, "get", author.as_uri(), "data/splits/val", "-o", "looked-at")
    assert_same_files(project / "data/splits/val", other / "looked-at")
    dvc(other, "import", author.as_uri(), "data/splits", "-o", "faces")
    assert_same_files(project / "data/splits", other / "faces")
    run(author, "git", "commit", "-qm", "later", "--allow-empty")
    dvc(other, "update", "faces.dvc")
    noted = yaml_files.read(other / "faces.dvc")["deps"][0]["repo"]
    assert noted["rev_lock"] == run(author, "git", "rev-parse", "HEAD").strip()


def test_dvc_shows_metrics_plots_and_experiments(project: Path) -> None:
    assert "xgan.kid" in dvc(project, "metrics", "show")
    dvc(project, "plots", "show")
    page = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "train/xgan" in page and "evaluate" in page
    assert "KID of held-out photos as anime" in page and "there and back" in page
    table = dvc(project, "exp", "show", "--md")
    assert "workspace" in table and "xgan.kid" in table


def test_experiments_land_in_the_one_store(project: Path) -> None:
    before = len(runs(project))
    change = ["-S", "compare.direction=anime2photos"]
    dvc(project, "exp", "run", "--temp", "--name", "apart", *change)
    dvc(project, "exp", "run", "--queue", "--name", "queued", *change, "-S", "evaluate.seed=5")
    dvc(project, "exp", "run", "--run-all")
    dvc(project, "exp", "run", "--name", "here", *change, "-S", "evaluate.sheet_rows=2")
    logged = Counter(run.data.tags["dvc_experiment"] for run in runs(project))
    # Each compares; where evaluation changed, both variants are evaluated in runs of their own.
    assert logged == {"workspace": before, "apart": 1, "queued": 3, "here": 3}
    wide = ["env", "COLUMNS=150", "make", "--old-file=install"]
    table = run(project, *wide, "experiments")
    named = ("xgan.kid", "evaluate.sheet_rows", "apart", "queued", "here")
    assert all(name in table for name in named), table
    assert not any(name in table for name in ("_copy", "Created", "data/splits", "…")), table
    listed = dvc(project, "exp", "list")
    assert all(name in listed for name in ("apart", "queued", "here"))
    run(project, "git", "checkout", "--", "params.yaml", "dvc.lock", "reports")
    dvc(project, "checkout")


def test_ablation_tabulates_what_is_trained_already(project: Path) -> None:
    """Seed 1 is the params' own: nothing runs, and seconds come from the runs of `repro`."""
    before = len(runs(project))
    printed = run(project, sys.executable, "-m", "pipeline.compare.ablation", "--seeds", "1")
    assert "Running stage" not in printed and len(runs(project)) == before
    rows = [line for line in printed.splitlines() if line.startswith("| ") and "---" not in line]
    assert {row.split(" | ")[0] for row in rows} == {"| variant", "| cyclegan", "| xgan"}
    assert rows[0].endswith("| seconds |")
    assert all(float(row.split(" | ")[-1].removesuffix(" |")) > 0 for row in rows[1:])
    (project / "reports/ablation.md").unlink()


def test_training_killed_goes_on_to_the_same_weights(project: Path) -> None:
    weights = project / "checkpoints/cyclegan/generator.safetensors"
    expected = weights.read_bytes()
    training = subprocess.Popen(
        [sys.executable, "-m", "pipeline.train", "--variant", "cyclegan"],
        cwd=project,
        env=environment(DVC_ROOT=str(project)),
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not list((project / ".cache/train").glob("*.pt")) and training.poll() is None:
        assert time.monotonic() < deadline, "no state was written"
        time.sleep(0.02)
    os.killpg(training.pid, signal.SIGKILL)
    training.wait()
    weights.unlink()
    dvc(project, "repro", "--force", "--single-item", "train@cyclegan")  # not from its run-cache
    assert weights.read_bytes() == expected
    assert runs(project)[0].data.metrics["training/resumed_from"] > 0


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("faces", {"faces": {"detect_siz": 100}}, "'detect_siz'"),
        ("celeba", {"celeba": {"path": "data/absent"}}, "data/absent"),
        ("celeba", {"celeba": {"keep": {"Mail": True}}}, "Male"),
        (
            "celeba",
            {"celeba": {"keep": {"Male": True, "Heavy_Makeup": True, "Bald": True}}},
            "keep",
        ),
        ("faces", {"faces": {"min_eye_distance": 5000}}, "no face is left"),
        ("train", {"train": {"batch_size": 5000}}, "batch"),
    ],
)
def test_bad_input_ends_in_one_line(
    project: Path, stage: str, change: dict, message: str, tmp_path: Path
) -> None:
    params = project / "params.yaml"
    before = params.read_text(encoding="utf-8")
    content = yaml_files.loads(before)
    for section, values in change.items():
        content[section].update(values)
    outputs = sorted((project / "data").rglob("*"))
    try:
        params.write_text(yaml_files.dumps(content), encoding="utf-8")
        command = [sys.executable, "-m", f"pipeline.{stage}"]
        options = ["--variant", "xgan"] if stage == "train" else []
        printed = run(project, *command, *options, fails=True)
    finally:
        params.write_text(before, encoding="utf-8")
    assert "Traceback" not in printed
    assert message in printed.strip().splitlines()[-1]
    assert sorted((project / "data").rglob("*")) == outputs


def test_archive_without_git_runs(tmp_path: Path) -> None:
    """The first stages, as from a source archive: `make scm` writes what is needed there."""
    project = copy_project(tmp_path / "face2anime archive", git=False)
    make_tiny(project)
    assert "experiment versioning" in run(project, "make", "scm")
    dvc(project, "repro", "discover")
    assert (project / "data/posts.parquet").is_file()
    assert [run.data.tags.get("git_commit") for run in runs(project)] == [None, None]

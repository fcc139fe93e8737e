"""Stages know their commit in every kind of clone, and DVC keeps what experiments there give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import yaml_files
from tests.pipeline.conftest import write_params
from tests.project import ROOT, environment

STAGE = """from pathlib import Path
from pipeline.core import origin, stage
def main():
    Path("out.txt").write_text(origin.git_commit() + Path("lr.yaml").read_text(), encoding="utf-8")
stage.run(main)
"""
KINDS = ["shallow", "worktree", "submodule"]


def call(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = environment(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=place, env=env, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def run(place: Path, *command: str) -> str:
    done = call(place, *command)
    assert done.returncode == 0, done.stdout
    return done.stdout


def dvc(place: Path, *words: str) -> str:
    return run(place, sys.executable, "-m", "dvc", *words)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two commits with one stage that writes which commit it is."""
    place = tmp_path_factory.mktemp("clones") / "origin"
    place.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        write_params({})
    (place / "stage.py").write_text(STAGE, encoding="utf-8")
    (place / "lr.yaml").write_text("lr: 1\n", encoding="utf-8")
    params = [{"lr.yaml": ["lr"]}]
    one = {"cmd": f'"{sys.executable}" stage.py', "params": params, "outs": ["out.txt"]}
    (place / "dvc.yaml").write_text(yaml_files.dumps({"stages": {"one": one}}), encoding="utf-8")
    (place / ".gitignore").write_text(".cache\n/out.txt\n", encoding="utf-8")
    run(place, "git", "init", "-q")
    dvc(place, "init", "-q")
    run(place, "git", "add", "-A")
    run(place, "git", "commit", "-qm", "first")
    run(place, "git", "commit", "-qm", "second", "--allow-empty")
    return place


@pytest.fixture(scope="module", params=KINDS)
def place(origin: Path, request: pytest.FixtureRequest) -> Path:
    """The project in a clone of one kind, and the name of that kind."""
    to, url = origin.with_name(request.param), origin.as_uri()
    if request.param == "shallow":
        run(origin, "git", "clone", "-q", "--depth", "1", url, str(to))
    elif request.param == "worktree":
        run(origin, "git", "worktree", "add", "-q", str(to), "HEAD")
    else:
        to.mkdir()
        run(to, "git", "init", "-q")
        run(to, "git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", url, "sub")
        to /= "sub"
    return to


def test_a_stage_knows_its_commit(place: Path, origin: Path):
    dvc(place, "repro")
    commit = run(origin, "git", "rev-parse", "HEAD").strip()
    assert (place / "out.txt").read_text(encoding="utf-8") == f"{commit}lr: 1\n"


def test_an_experiment_here_is_kept(place: Path):
    dvc(place, "exp", "run", "-n", "here", "-S", "lr.yaml:lr=2")
    run(place, "git", "checkout", "-q", ".")
    assert "here" in dvc(place, "exp", "list", "--name-only").split()


def test_an_experiment_in_a_copy_is_kept_or_ends_in_one_line(place: Path):
    words = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", "copied"]
    words += ["-S", "lr.yaml:lr=3"]
    done = call(place, *words)
    if place.name == "shallow":
        assert done.returncode != 0
        (line,) = [line for line in done.stdout.splitlines() if "git fetch --unshallow" in line]
        assert "shallow" in line and "Traceback" not in done.stdout
        run(place, "git", "fetch", "-q", "--unshallow")
        done = call(place, *words)
    assert done.returncode == 0, done.stdout
    assert "copied" in dvc(place, "exp", "list", "--name-only").split()

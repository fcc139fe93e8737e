"""What tests of several stages share."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from filelock import FileLock

from pipeline.core import registry, tracking, yaml_files
from pipeline.core.errors import StageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store to copy: the first migration takes seconds, so workers share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "mlflow.db"
    with FileLock(folder / "mlflow.lock"):
        if not path.exists():
            mlflow.set_tracking_uri(f"sqlite:///{path}")
            mlflow.search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root whose path has a space."""
    root = tmp_path / "a project"
    root.mkdir()
    shutil.copy(empty_store, root / "mlflow.db")
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


class FakeRun:
    """Stands in for an MLflow run: keeps what was logged."""

    def __init__(self) -> None:
        self.name, self.key, self.logged, self.tags = "", "", {}, {}
        self.places: dict[str, dict[str, str]] = {}  # what a comparison tells, by key
        self.artifacts: list[Path] = []

    def metrics(self, values: Mapping[str, Any]) -> None:
        self.logged.update(values)

    def curves(self, frame, step: str = "images") -> None:
        assert step in frame

    def artifact(self, path: Path, folder: str | None = None) -> None:
        assert path.exists()
        self.artifacts.append(path)

    def picture(self, path: Path, name: str) -> None:
        assert path.is_file()

    def tag(self, **tags: str) -> None:
        self.tags.update(tags)


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """A run that a stage's ``main()`` logs into instead of MLflow's store (seconds to make)."""
    return log_into_fake(monkeypatch)


def log_into_fake(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """What `fake_run` does, for fixtures of a wider scope."""
    run = FakeRun()

    @contextmanager
    def stage_run(name: str, params, *, inputs=(), tags=None, resume_key="") -> Iterator[FakeRun]:
        run.name, run.key = name, resume_key
        yield run

    monkeypatch.setattr(tracking, "stage_run", stage_run)
    monkeypatch.setattr(tracking, "newest_metric", lambda key, name: math.nan)
    monkeypatch.setattr(tracking, "tag_newest", lambda key, **tags: run.places.update({key: tags}))
    monkeypatch.setattr(registry, "versions", no_registry)
    return run


def no_registry() -> list[registry.Version]:
    """As where a tracking server has none: what a fake run stands beside."""
    raise StageError("no registry here")


def write_params(changes: Mapping[str, Mapping[str, Any]]) -> None:
    """``params.yaml`` in the working directory: the demo's, with these keys changed."""
    content = yaml_files.read(ROOT / "profiles/demo.yaml")
    for section, values in changes.items():
        content[section].update(values)
    Path("params.yaml").write_text(yaml_files.dumps(content), encoding="utf-8")

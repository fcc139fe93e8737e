"""What tests of several stages share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import tracking


class FakeRun:
    """Stands in for an MLflow run: keeps what was logged."""

    def __init__(self) -> None:
        self.name, self.key, self.logged, self.tags = "", "", {}, {}
        self.artifacts: list[Path] = []

    def metrics(self, values: Mapping[str, Any]) -> None:
        self.logged.update(values)

    def curves(self, frame, step: str = "images") -> None:
        assert step in frame

    def artifact(self, path: Path, folder: str | None = None) -> None:
        assert path.exists()
        self.artifacts.append(path)

    def tag(self, **tags: str) -> None:
        self.tags.update(tags)


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """A run that a stage's ``main()`` logs into instead of MLflow's store (seconds to make)."""
    run = FakeRun()

    @contextmanager
    def stage_run(name: str, params, *, inputs=(), tags=None, resume_key="") -> Iterator[FakeRun]:
        run.name, run.key = name, resume_key
        yield run

    monkeypatch.setattr(tracking, "stage_run", stage_run)
    return run

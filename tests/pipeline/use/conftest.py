"""What tests of the use of a model share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.use.pictures import write_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model")
    return tmp_path

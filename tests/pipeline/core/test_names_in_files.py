"""What a file claims to be a key or a name is checked to be one, and nothing is touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.errors import ModelError
from models.runtime.weights import write_model
from models.training.keys import is_key
from models.training.run_file import read_run
from pipeline.core import tables, tracking
from pipeline.core.errors import StageError

BAD = [
    "../../../victim", "/tmp/victim", "a/b", "..", "a' OR tags.key = 'b", 'a"b', "a\nb", "a b", "é",
    "A" * 64, "a" * 63, "a" * 65, "", 7, None, ["a"], {"a": 1}, True,
]  # fmt: skip
KEY = "ab" * 32


def test_a_key_is_64_hex_digits() -> None:
    assert is_key(KEY) and not any(map(is_key, BAD))


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training's folder as somebody else made it, and a victim beside the project."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("precious")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    folder = project / "copied"
    told = {"variant": {"name": "x"}, "settings": {}, "key": KEY}
    counts = ["images_seen", "resumed_from", "seconds", "pretraining_seconds"]
    told |= dict.fromkeys([*counts, "device", "torch", "processes"], 1)
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(told))
    write_model(folder / "generator.safetensors", folder / "config.json", {"a": torch.ones(1)}, {})
    return folder


@pytest.mark.parametrize("key", BAD, ids=repr)
def test_a_copied_trainings_key_is_checked(key: object, copied: Path) -> None:
    told = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(told | {"key": key}))
    before = sorted(copied.parents[1].rglob("*"))
    with pytest.raises(ModelError, match="`key` is none, 64 hex digits|lacks") as caught:
        read_run(copied)
    assert "\n" not in str(caught.value)
    assert sorted(copied.parents[1].rglob("*")) == before


@pytest.mark.parametrize(
    "key", [key for key in BAD if isinstance(key, str) and not re.fullmatch(r"\w*", key)]
)
def test_no_key_ends_in_mlflows_filter(key: str) -> None:
    """Whatever file it came from: config.json of weights, a run."""
    with pytest.raises(StageError, match="no training's key"):
        tracking._runs_with_key(None, key)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["../../../victim", "/tmp/x", "a/b", "a b", "", "..", "é"])
def test_a_source_in_a_table_is_no_path(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"id": ["a"], "source": [source], "batch": [0]})
    with (
        pytest.raises(StageError, match="a shard's name"),
        tables.new_folder(Path("data/faces")) as out,
    ):
        tables.write_frame(out, "faces", frame, by=["source", "batch"])
    assert not list(tmp_path.rglob("*.parquet"))

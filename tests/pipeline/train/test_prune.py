"""What finished trainings left goes when nothing declares them any more, and this is told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from models.data.streaming import load_training
from models.training.engine import train as bare_train
from models.training.state import save_state
from pipeline.core import params
from pipeline.train import __main__ as train
from pipeline.train.prune import REST, SAMPLES, declared_keys, prune
from tests.models import helpers
from tests.pipeline.conftest import write_params

DONE = {"images_seen": 16, "budget": 16}


def age(path: Path) -> None:
    """As if it were older than what is spared."""
    then = time.time() - REST - 60
    os.utime(path, (then, then))


def leave(folder: Path, key: str, **state: int) -> None:
    """A training's state and its sheets, as of long ago."""
    save_state(folder, key, state)
    sheets = folder / f"{key}{SAMPLES}"
    sheets.mkdir()
    (sheets / "16.jpg").touch()
    for path in (folder / f"{key}.pt", sheets):
        age(path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_finished_and_declared_no_more_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".cache/train"
    folder.mkdir(parents=True)
    leave(folder, "gone", **DONE)
    leave(folder, "declared", **DONE)
    leave(folder, "unfinished", images_seen=8, budget=16)
    leave(folder, "old", images_seen=16)  # of before states told their budget
    leave(folder, "damaged", **DONE)
    (folder / "damaged.pt").write_bytes(b"x")
    age(folder / "damaged.pt")
    leave(folder, "young", **DONE)
    os.utime(folder / "young.pt")
    assert prune(folder, {"declared"}) == ["gone"]
    stay = ["damaged", "declared", "old", "unfinished", "young"]
    assert names(folder) == sorted(f"{key}{end}" for key in stay for end in (".pt", SAMPLES))
    assert prune(folder, {"declared"}) == []


def test_a_stage_tells_what_it_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real training's state, left where DVC took the outputs from its run cache."""
    monkeypatch.chdir(tmp_path)
    write_params({"train": {"image_size": 32}})
    helpers.write_splits(Path("data/splits"), "train", "val")
    plan = helpers.settings(budget_images=16)
    photos, anime = load_training(Path("data/splits"), "train", 32, torch.device("cpu"))
    held_out = load_training(Path("data/splits"), "val", 32, torch.device("cpu"))
    folder = tmp_path / ".cache/train"
    row = helpers.variant("cyclegan")
    bare_train(row, plan, photos, anime, held_out, folder)
    (state,) = folder.iterdir()
    age(state)
    capsys.readouterr()
    monkeypatch.setattr(params, "load_variants", lambda: {"cyclegan": row.to_dict()})
    assert state.stem in declared_keys(plan, photos, anime)
    train.clean(folder, plan, photos, anime)
    assert names(folder) == [state.name] and capsys.readouterr().out == ""
    monkeypatch.setattr(params, "load_variants", lambda: {"other": {**row.to_dict(), "blocks": 1}})
    train.clean(folder, plan, photos, anime)
    assert names(folder) == []
    told = capsys.readouterr().out
    assert told == f"train: removed 1 finished states of no declared training: {state.stem} …\n"

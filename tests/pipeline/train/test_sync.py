"""A training done elsewhere: into MLflow once, and into the pipeline without training again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from models import train as bare
from models.errors import ModelError
from models.runtime.files import WEIGHTS
from pipeline import cli
from pipeline.train import __main__ as train
from pipeline.train.sync import sync
from tests.models.helpers import write_splits
from tests.pipeline.conftest import write_params
from tests.project import PLAIN

TINY = {
    "image_size": 32, "budget_images": 16, "batch_size": 4, "log_every": 8, "sample_every": 8,
    "evaluate_every": 8,
}  # fmt: skip


@pytest.fixture
def elsewhere(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What `train@cyclegan` of a tiny project leaves, done by the bare command."""
    write_params({"train": TINY, "compute": {"device": "cpu", "threads": 1}, "variants": PLAIN})
    write_splits(Path("data/splits"), "train", "val")
    cli.config("cyclegan")
    Path("plan.json").write_text(capsys.readouterr().out, encoding="utf-8")
    plan = ["--config", "plan.json", "--device", "cpu"]
    bare.run(bare.parse(["--data", "data/splits", "--out", "brought", *plan]))
    return Path("brought")


def runs() -> list[mlflow.entities.Run]:
    return mlflow.search_runs(experiment_names=["face2anime"], output_format="list")


def test_it_becomes_a_run_once(elsewhere: Path):
    assert "train@cyclegan in MLflow" in sync(elsewhere)
    shutil.rmtree(".cache/train")
    assert "in MLflow already" in sync(elsewhere)
    (run,) = runs()
    assert train.brought_folder(run.data.tags["key"]).is_dir()  # for the stage, as before
    assert run.info.run_name == "cyclegan"
    assert run.data.params["train.budget_images"] == "16"
    cycle = train.load_variant("cyclegan").losses["cycle"]
    assert float(run.data.params["variant.losses.cycle"]) == cycle
    assert run.data.tags["key"] == json.loads((elsewhere / "run.json").read_text())["key"]
    assert run.data.metrics["training/images_seen"] == 16
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "losses/cycle")
    assert [point.step for point in history] == [8, 16]
    assert "held_out/kid_photos2anime" in run.data.metrics
    listed = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert listed == {"samples", "checkpoint"}


def test_the_stage_takes_it_instead_of_training(elsewhere: Path, monkeypatch, capsys):
    sync(elsewhere)
    monkeypatch.setattr(train, "train", None)  # would end in a TypeError
    train.main("cyclegan")
    assert "nothing to train" in capsys.readouterr().out
    taken = Path("checkpoints/cyclegan")
    assert (taken / WEIGHTS).read_bytes() == (elsewhere / WEIGHTS).read_bytes()
    brought, told = (json.loads((x / "config.json").read_text()) for x in (elsewhere, taken))
    assert {**brought, "template": told["template"], "data": told["data"]} == told
    curve = pd.read_csv("reports/plots/train/cyclegan.csv")
    pd.testing.assert_frame_equal(curve, pd.read_csv(elsewhere / "losses.csv"), rtol=1e-5)
    held_out = pd.read_csv("reports/plots/held_out/cyclegan.csv")
    assert held_out["images"].tolist() == [0, 8, 16]
    sheets = {path.name for path in Path("reports/sheets/train/cyclegan").iterdir()}
    assert sheets == {"00000008.png", "00000016.png"}
    assert len(runs()) == 1  # it goes on in the run of the import


def test_the_stage_trains_when_anything_differs(elsewhere: Path, capsys):
    sync(elsewhere)
    other = {"train": {**TINY, "seed": 2}, "compute": {"device": "cpu", "threads": 1}}
    write_params({**other, "variants": PLAIN})
    train.main("cyclegan")
    assert "nothing to train" not in capsys.readouterr().out
    assert len(runs()) == 2


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "its training did not end"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"half"), "is not what was written"),
        (lambda folder: (folder / "losses.csv").write_text("images\nmany"), "no table of numbers"),
    ],
)
def test_a_broken_folder_is_refused_and_leaves_nothing(elsewhere: Path, break_it, message):
    broken = Path(shutil.copytree(elsewhere, "broken"))
    break_it(broken)
    with pytest.raises(ModelError, match=message):
        sync(broken)
    assert not list(Path(".cache").rglob("*-finished"))
    sync(elsewhere)
    assert len(runs()) == 1


def test_an_import_that_fails_half_way_is_done_again(elsewhere: Path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.train.sync.sheets_of", None)
        with pytest.raises(TypeError):
            sync(elsewhere)
    assert "train@cyclegan in MLflow" in sync(elsewhere)
    assert sorted(run.info.status for run in runs()) == ["FAILED", "FINISHED"]

"""One MLflow run a stage: its params, inputs with DVC's md5, metrics, and going on with a run."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from PIL import Image

from pipeline.core import origin, tracking, view
from tests.pipeline.conftest import write_params

# What DVC records for a folder with one file: the md5 of its listing.
LISTING = [{"md5": hashlib.md5(b"images").hexdigest(), "relpath": "shard"}]
MD5 = hashlib.md5(json.dumps(LISTING).encode()).hexdigest() + ".dir"


def make_stage(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DVC project whose stage ``faces`` watches ``data/raw``, as if DVC were running it."""
    (project / "data/raw").mkdir(parents=True)
    (project / "data/raw/shard").write_bytes(b"images")
    (project / "dvc.yaml").write_text(
        "stages: {faces: {cmd: x, deps: [data/raw]}}", encoding="utf-8"
    )
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    monkeypatch.setenv("DVC_STAGE", "faces")


def runs() -> list[mlflow.entities.Run]:
    return mlflow.search_runs(search_all_experiments=True, output_format="list")


@pytest.fixture
def project(project: Path) -> Path:
    """With params: a training asks them what it runs on."""
    write_params({"compute": {"device": "cpu"}})
    return project


def test_run_holds_params_inputs_metrics_and_artifacts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(project, monkeypatch)
    Image.new("RGB", (8, 8)).save(project / "sheet.png")
    with tracking.stage_run(
        "faces", {"faces": {"size": 64}}, inputs=[Path("data/raw"), Path("other")]
    ) as run:
        run.metrics({"kept": 3, "by_source": {"booru": 2.5}, "name": "skipped"})
        run.curves(pd.DataFrame({"images": [1, 2], "loss": [0.5, 0.25]}))
        run.curves(pd.DataFrame())  # of a training without pretraining: none
        run.artifact(project / "sheet.png")
        run.picture(project / "sheet.png", "photos2anime")
    (logged,) = runs()
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"faces.size": "64"}
    assert logged.data.metrics == {"kept": 3, "by_source.booru": 2.5, "losses/loss": 0.25}
    assert logged.data.tags["stage"] == "faces"
    assert logged.data.tags["dvc_experiment"] == "workspace"
    digests = {item.dataset.name: item.dataset.digest for item in logged.inputs.dataset_inputs}
    assert digests == {"data/raw": MD5, "other": "unversioned"}
    assert list((project / "mlruns").rglob("sheet.png"))
    assert list((project / "mlruns").rglob("images/pictures*photos2anime*.png"))


def test_evaluation_lands_in_the_run_of_its_training(project: Path) -> None:
    with tracking.stage_run("train@x", {"train": {"lr": 1}}, resume_key="abc") as run:
        run.metrics({"loss": 1})
    with tracking.stage_run("train@x", {"evaluate": {"n": 2}}, resume_key="abc") as run:
        run.metrics({"kid": 2})
    (logged,) = runs()
    assert logged.data.metrics == {"loss": 1, "kid": 2}
    assert logged.data.params == {"train.lr": "1", "evaluate.n": "2"}
    assert logged.data.tags["stage"] == "train"


def test_evaluating_anew_leaves_the_first_evaluation_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.stage_run("train@x", {"lr": 1, "evaluate": {"n": 2}}, resume_key="abc") as run:
        run.metrics({"kid": 1})
    with tracking.stage_run("train@x", {"evaluate": {"n": 3}}, resume_key="abc") as run:
        run.metrics({"kid": 2})
    monkeypatch.setenv("DVC_EXP_NAME", "other")
    with tracking.stage_run("train@x", {"evaluate": {"n": 3}}, resume_key="abc") as run:
        run.metrics({"kid": 3})
    logged = sorted(runs(), key=lambda run: run.data.metrics["kid"])
    assert [run.data.metrics["kid"] for run in logged] == [1, 2, 3]
    assert [run.data.params["evaluate.n"] for run in logged] == ["2", "3", "3"]
    assert {run.data.params["lr"] for run in logged} == {"1"}
    assert [run.data.tags["dvc_experiment"] for run in logged] == ["workspace"] * 2 + ["other"]
    assert [run.info.run_name for run in logged] == ["x", "x", "x (other)"]
    assert {run.data.tags["device"] for run in logged} == {origin.device()}


def test_models_are_apart_from_other_stages(project: Path) -> None:
    for name in ("train@x", "faces", "compare"):
        with tracking.stage_run(name, {}) as run:
            run.metrics({"seconds": 1})
    (model,) = mlflow.search_runs(experiment_names=[view.MODELS], output_format="list")
    assert model.info.run_name == "x" and "dvc repro train@x" not in model.data.tags[view.NOTE]
    others = mlflow.search_runs(experiment_names=[view.STAGES], output_format="list")
    assert {run.info.run_name for run in others} == {"faces", "compare"}


def test_a_training_from_elsewhere_keeps_its_device(project: Path) -> None:
    with tracking.stage_run("train@x", {}, tags={"device": "H200", "key": "abc"}):
        pass
    with tracking.stage_run("train@x", {}, resume_key="abc"):
        pass
    (run,) = runs()
    assert run.data.tags["device"] == "H200" and "changed" not in run.data.tags


def test_newest_metric_is_of_the_newest_run_that_has_it(project: Path) -> None:
    for seconds in (10, 20):
        with tracking.stage_run("train@x", {}, tags={"key": "abc"}) as run:
            run.metrics({"seconds": seconds})
    with tracking.stage_run("train@x", {}, tags={"key": "abc"}) as run:
        run.metrics({"kid": 1})
    with tracking.stage_run("train@x", {}, tags={"key": "other"}) as run:
        run.metrics({"seconds": 30})
    assert tracking.newest_metric("abc", "seconds") == 20
    assert math.isnan(tracking.newest_metric("absent", "seconds"))


def test_what_a_comparison_tells_is_of_the_newest_evaluated_run(project: Path) -> None:
    for name, metrics in (("old", {"kid": 1}), ("new", {"kid": 2}), ("training", {"seconds": 3})):
        with tracking.stage_run(f"train@{name}", {}, tags={"key": "abc"}) as run:
            run.metrics(metrics)
    tracking.tag_newest("abc", place="1 of 2, tie")
    tracking.tag_newest("absent", place="2 of 2")
    assert {run.info.run_name: run.data.tags.get("place") for run in runs()} == {
        "old": None, "new": "1 of 2, tie", "training": None,
    }  # fmt: skip


def test_a_raising_stage_is_marked_failed(project: Path) -> None:
    with pytest.raises(ValueError), tracking.stage_run("faces", {}):
        raise ValueError("no")
    assert [run.info.status for run in runs()] == ["FAILED"]

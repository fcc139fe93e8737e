"""The only importer of MLflow: one run a stage, in one store at the project's root.

``dvc exp run --temp`` and ``--queue`` work in a copy of the repository; `stage.root` is the parent
there, so that all experiments land in one store.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock

from pipeline.core import stage

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if TYPE_CHECKING:
    import mlflow
elif "mlflow" in sys.modules:
    mlflow = sys.modules["mlflow"]
else:  # loaded when first used: seconds that a mistake in params.yaml need not wait for
    _spec = importlib.util.find_spec("mlflow")
    _spec.loader = importlib.util.LazyLoader(_spec.loader)
    mlflow = sys.modules["mlflow"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(mlflow)

EXPERIMENT = "face2anime"
BATCH = 1000  # metrics per call that MLflow's API accepts
DIGEST = 36  # characters of a data set's digest that MLflow keeps; an md5 + '.dir' fits


def store_uri() -> str:
    """``MLFLOW_TRACKING_URI`` or the SQLite file at the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{stage.root() / 'mlflow.db'}"


class StageRun:
    """The open run of a stage; every call logs into it."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Log numbers; nested mappings get dotted names, anything that is no number is skipped."""
        numbers = {
            name: float(value)
            for name, value in flatten(values).items()
            if isinstance(value, int | float) and value == value
        }
        if numbers:
            mlflow.log_metrics(numbers)

    def curves(self, frame: pd.DataFrame, step: str = "images") -> None:
        """Log each column of ``frame`` as a curve over its column ``step``, in few calls."""
        points = [
            mlflow.entities.Metric(str(column), float(row[column]), 0, int(row[step]))
            for row in frame.to_dict("records")
            for column in frame.columns
            if column != step and pd.notna(row[column])
        ]
        for start in range(0, len(points), BATCH):
            mlflow.MlflowClient().log_batch(self.run_id, metrics=points[start : start + BATCH])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all files of a folder, with the run."""
        if path.is_dir():
            mlflow.log_artifacts(str(path), folder or path.name)
        else:
            mlflow.log_artifact(str(path), folder)

    def tag(self, **tags: str) -> None:
        """Set tags on the run."""
        mlflow.set_tags(tags)


@contextmanager
def stage_run(
    name: str,
    params: Mapping[str, Any],
    *,
    inputs: Sequence[Path] = (),
    tags: Mapping[str, str] | None = None,
    resume_key: str = "",
) -> Iterator[StageRun]:
    """Open the MLflow run of a stage and log params, inputs and tags into it.

    ``inputs`` are dependencies of the stage; each is logged as a data set whose digest is the md5
    that ``dvc.lock`` has for it. With ``resume_key`` the newest run that carries that key is gone
    on with, so that an evaluation lands in the run of its training. The run is marked failed when
    the body raises.
    """
    _open_store()
    values = flatten(params)
    earlier = _run_with_key(resume_key) if resume_key else None
    run = earlier if earlier and _fits(earlier, values) else None
    with mlflow.start_run(run_id=run.info.run_id if run else None, run_name=name) as active:
        mlflow.set_tags({**_common_tags(name, continued=run is not None), **(tags or {})})
        if resume_key:
            mlflow.set_tag("key", resume_key)
        # A second evaluation of one training is a run of its own that has the training's params.
        before = earlier.data.params if earlier else {}
        known = run.data.params if run else {}
        new = {key: value for key, value in {**before, **values}.items() if key not in known}
        if new:
            mlflow.log_params(new)
        _log_inputs(active.info.run_id, inputs)
        yield StageRun(active.info.run_id)


def _fits(run: mlflow.entities.Run, params: Mapping[str, Any]) -> bool:
    """Whether ``run`` is of this experiment and no param of it would have to change."""
    known = run.data.params
    same = all(known.get(key, str(value)) == str(value) for key, value in params.items())
    return same and run.data.tags.get("dvc_experiment") == _experiment()


def newest_metric(key: str, name: str) -> float:
    """Metric ``name`` of the newest run tagged ``key`` that has it; NaN where none has."""
    _open_store()
    for run in _runs_with_key(key):
        if name in run.data.metrics:
            return float(run.data.metrics[name])
    return float("nan")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def md5s_of(paths: Sequence[Path]) -> dict[str, str]:
    """Path → the md5 that ``dvc.lock`` will have for this dependency of the running stage.

    ``unversioned`` when the stage was not started by DVC, or DVC does not watch the path.
    """
    name = os.environ.get("DVC_STAGE")
    if not name or not paths:
        return {path.as_posix(): "unversioned" for path in paths}
    from dvc.repo import Repo  # a second, which only stages that DVC runs need

    # DVC has just hashed these to decide that the stage must run, and remembers it.
    dependencies = Repo(".").stage.load_one("dvc.yaml", name).deps
    known = {item.def_path: item for item in dependencies}
    return {
        text: known[text].get_hash().value if text in known else "unversioned"
        for text in (path.as_posix() for path in paths)
    }


def _open_store() -> None:
    mlflow.set_tracking_uri(store_uri())
    # Two processes that migrate a fresh SQLite store at once both fail: one at a time.
    with FileLock(stage.cache_dir() / "mlflow.lock"):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            local = store_uri().startswith("sqlite:")
            artifacts = (stage.root() / "mlruns").as_uri() if local else None
            mlflow.create_experiment(EXPERIMENT, artifact_location=artifacts)
    mlflow.set_experiment(EXPERIMENT)


def _run_with_key(key: str) -> mlflow.entities.Run | None:
    return next(iter(_runs_with_key(key, most=1)), None)


def _runs_with_key(key: str, most: int = 1000) -> list[mlflow.entities.Run]:
    """Newest first."""
    return mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.key = '{key}'",
        order_by=["attributes.start_time DESC"],
        max_results=most,
        output_format="list",
    )


def _common_tags(name: str, continued: bool) -> dict[str, str]:
    tags = {"mlflow.source.name": f"python -m pipeline.{name.split('@')[0]}"}
    if not continued:
        tags["stage"] = name.split("@")[0]
    if commit := _git_commit():
        tags["mlflow.source.git.commit"] = commit
        tags["git_commit"] = commit
    tags["dvc_experiment"] = _experiment()
    return tags


def _experiment() -> str:
    """The name of the DVC experiment that runs, or ``workspace`` for a plain ``dvc repro``."""
    return os.environ.get("DVC_EXP_NAME", "workspace")


def _git_commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else ""


def _log_inputs(run_id: str, inputs: Sequence[Path]) -> None:
    entities = mlflow.entities
    data_sets = [
        entities.DatasetInput(entities.Dataset(path, md5[:DIGEST], "dvc", path))
        for path, md5 in md5s_of(inputs).items()
    ]
    if data_sets:
        mlflow.MlflowClient().log_inputs(run_id, datasets=data_sets)

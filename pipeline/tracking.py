"""The only importer of MLflow: one run a stage, in one store at the project's root.

``dvc exp run --temp`` and ``--queue`` work in a copy of the repository; `stage.root` is the parent
there, so that all experiments land in one store.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow  # noqa: E402  (after its settings above)
import pandas as pd  # noqa: E402
from mlflow.entities import Dataset, DatasetInput, Metric, Run  # noqa: E402

from pipeline import stage  # noqa: E402

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
            Metric(str(column), float(row[column]), 0, int(row[step]))
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

    ``inputs`` are paths that DVC tracks; each is logged as a data set whose digest is the md5 that
    ``dvc.lock`` has. With ``resume_key`` the newest run that carries that key is gone on with, so
    that an evaluation lands in the run of its training. The run is marked failed when the body
    raises.
    """
    _open_store()
    run = _run_with_key(resume_key) if resume_key else None
    with mlflow.start_run(run_id=run.info.run_id if run else None, run_name=name) as active:
        mlflow.set_tags({**_common_tags(name, continued=run is not None), **(tags or {})})
        if resume_key:
            mlflow.set_tag("key", resume_key)
        known = run.data.params if run else {}
        new = {key: value for key, value in flatten(params).items() if key not in known}
        if new:
            mlflow.log_params(new)
        _log_inputs(active.info.run_id, inputs)
        yield StageRun(active.info.run_id)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def md5_of(path: Path, lock_file: Path = Path("dvc.lock")) -> str:
    """The md5 that ``dvc.lock`` records for a path DVC tracks, or ``unversioned``."""
    if not lock_file.is_file():
        return "unversioned"
    stages = (yaml.safe_load(lock_file.read_text(encoding="utf-8")) or {}).get("stages", {})
    wanted = path.as_posix()
    for entry in stages.values():
        for item in [*entry.get("outs", []), *entry.get("deps", [])]:
            if item["path"] == wanted:
                return str(item.get("md5", "unversioned"))
    return "unversioned"


def _open_store() -> None:
    mlflow.set_tracking_uri(store_uri())
    # Two processes that migrate a fresh SQLite store at once both fail: one at a time.
    with FileLock(stage.cache_dir() / "mlflow.lock"):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            local = store_uri().startswith("sqlite:")
            artifacts = (stage.root() / "mlruns").as_uri() if local else None
            mlflow.create_experiment(EXPERIMENT, artifact_location=artifacts)
    mlflow.set_experiment(EXPERIMENT)


def _run_with_key(key: str) -> Run | None:
    runs: list[Run] = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.key = '{key}'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    return runs[0] if runs else None


def _common_tags(name: str, continued: bool) -> dict[str, str]:
    tags = {"mlflow.source.name": f"python -m pipeline.{name.split('@')[0]}"}
    if not continued:
        tags["stage"] = name.split("@")[0]
    if commit := _git_commit():
        tags["mlflow.source.git.commit"] = commit
        tags["git_commit"] = commit
    tags["dvc_experiment"] = os.environ.get("DVC_EXP_NAME", "workspace")
    return tags


def _git_commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else ""


def _log_inputs(run_id: str, inputs: Sequence[Path]) -> None:
    data_sets = [
        DatasetInput(Dataset(path.as_posix(), md5_of(path)[:DIGEST], "dvc", path.as_posix()))
        for path in inputs
    ]
    if data_sets:
        mlflow.MlflowClient().log_inputs(run_id, datasets=data_sets)

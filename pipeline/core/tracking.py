"""One run of MLflow a stage: params, inputs, metrics, curves, artifacts.

A training never dies of its log: what the store that is named does not take goes to the local one
(`store`), which is said in one line, and `backlog` sends it later. ``MLFLOW_RUN_ID`` and
``MLFLOW_EXPERIMENT_NAME`` of the environment are not asked.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from pipeline.core import killed, origin, store, view
from pipeline.core.errors import StageError
from pipeline.core.store import mlflow as mlflow
from pipeline.core.view import flatten as flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TRAIN = "train"  # the stage whose runs are models
# Of the newest part of a run.
SOURCE = {"mlflow.source.name", "mlflow.source.git.commit", "git_commit", killed.PROCESS}
UNSENT, SENT_AS = "unsent", "sent_as"  # tags of what another store ought to have, see `backlog`
DIGEST = 36  # characters of a data set's digest that MLflow keeps; an md5 + '.dir' fits


@dataclass
class Beginning:
    """What a run has when it begins."""

    stage: str  # as DVC calls it: `faces`, `train@xgan`
    name: str
    tags: dict[str, str]
    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)  # path → md5

    @property
    def experiment(self) -> str:
        """Models have an experiment of their own."""
        return view.MODELS if self.stage.split("@")[0] == TRAIN else view.STAGES

    def begin(self, client: MlflowClient, sent_as: str = "") -> str:
        """Create the run; its id. ``sent_as``: the run elsewhere that it goes on with."""
        where = store.experiment_id(client, self.experiment)
        unsent = store.is_local(client) and store.store_uri() != store.local_uri()
        kept = {UNSENT: store.shown(store.store_uri())} if unsent else {}
        kept |= {SENT_AS: sent_as} if kept and sent_as else {}
        run = client.create_run(where, tags={**self.tags, **kept}, run_name=self.name)
        self._log(client, run.info.run_id, {})
        return run.info.run_id

    def go_on(self, client: MlflowClient, run_id: str, run: Run) -> None:
        """Log what ``run`` has not yet, and have it be running again."""
        client.update_run(run_id, status="RUNNING")
        source = [mlflow.entities.RunTag(*tag) for tag in self.tags.items() if tag[0] in SOURCE]
        client.log_batch(run_id, tags=source)
        self._log(client, run_id, run.data.params)

    def _log(self, client: MlflowClient, run_id: str, known: Mapping[str, str]) -> None:
        entities = mlflow.entities
        new = {key: str(value) for key, value in self.params.items() if key not in known}
        client.log_batch(run_id, params=[entities.Param(*param) for param in new.items()])
        data_sets = [
            entities.DatasetInput(entities.Dataset(path, md5[:DIGEST], "dvc", path))
            for path, md5 in self.inputs.items()
        ]
        if data_sets:
            client.log_inputs(run_id, datasets=data_sets)


class StageRun:
    """The open run of a stage; every call logs into it."""

    def __init__(self, client: MlflowClient, beginning: Beginning, run: Run | None = None) -> None:
        """Begin a run, or go on with ``run``. Raises StageError where no store takes it."""
        self._beginning, self._lost, self.run_id = beginning, False, ""
        if run is None:
            self._begin(client)
        else:
            self.client, self.run_id = client, run.info.run_id
            self.send(lambda client, run_id: beginning.go_on(client, run_id, run))

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Log numbers; nested mappings get dotted names, anything that is no number is skipped."""
        now = _milliseconds()
        numbers = [
            mlflow.entities.Metric(view.metric(name), float(value), now, 0)
            for name, value in flatten(values).items()
            if isinstance(value, int | float) and value == value
        ]
        self.send(lambda client, run_id: client.log_batch(run_id, metrics=numbers))

    def curves(self, frame: pd.DataFrame, step: str = "images") -> None:
        """Log each column of ``frame`` as a curve over its column ``step``, in few calls."""
        now = _milliseconds()
        points = [
            mlflow.entities.Metric(view.curve(str(name)), float(row[name]), now, int(row[step]))
            for row in frame.to_dict("records")
            for name in frame.columns
            if name != step and pd.notna(row[name])
        ]
        self.send(lambda client, run_id: client.log_batch(run_id, metrics=points))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all files of a folder, with the run. Raises FileNotFoundError."""
        path.stat()
        if path.is_dir():
            where = folder or path.name
            self.send(lambda client, run_id: client.log_artifacts(run_id, str(path), where))
        else:
            self.send(lambda client, run_id: client.log_artifact(run_id, str(path), folder))

    def picture(self, path: Path, name: str) -> None:
        """Show a picture among the charts, beside those of this name by other runs."""
        with Image.open(path) as opened:
            picture = view.square(opened.convert("RGB"))
        key = f"{view.PICTURES}/{name}"
        self.send(lambda client, run_id: client.log_image(run_id, picture, key=key, step=0))

    def tag(self, **tags: str) -> None:
        """Set tags on the run."""
        kept = [mlflow.entities.RunTag(key, value) for key, value in tags.items()]
        self.send(lambda client, run_id: client.log_batch(run_id, tags=kept))

    def end(self, status: str) -> None:
        """Mark the run as ended: ``FINISHED`` or ``FAILED``."""
        self.send(lambda client, run_id: client.set_terminated(run_id, status))

    def send(self, call: Callable[[MlflowClient, str], Any]) -> None:
        """Have ``call(client, run_id)`` log. Where that fails: in a run of the local store."""
        if self._lost and not store.is_local(self.client):
            return
        if store.is_local(self.client) and not store.is_as_opened():
            self._renew()
        try:
            call(self.client, self.run_id)
        except store.failures() as error:
            if store.is_local(self.client) or not self._moved(error):
                self._tell_lost(error)
            else:
                self.send(call)

    def _begin(self, client: MlflowClient) -> None:
        try:
            self.run_id = self._beginning.begin(client, self.run_id)
            self.client = client
        except store.failures() as error:
            if store.is_local(client):
                raise store.unusable(error) from None
            store.give_up(client.tracking_uri, error)
            self._begin(store.open_local())

    def _renew(self) -> None:
        """The local store was deleted: go on in a run of a new one."""
        with suppress(StageError):  # then the call tells what is wrong
            self._begin(store.open_local())
            told = "is gone; the run goes on in a new one, without what was logged before"
            print(f"MLflow: {store.local_file()} {told}", file=sys.stderr)

    def _moved(self, error: Exception) -> bool:
        """Whether what follows can be logged in a run of the local store."""
        store.give_up(self.client.tracking_uri, error)
        try:
            self._begin(store.open_local())
        except StageError:
            return False
        return True

    def _tell_lost(self, error: Exception) -> None:
        if not self._lost:
            print(f"MLflow takes no more of this run: {store.reason(error)}", file=sys.stderr)
        self._lost = True


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
    client = store.open_store()
    killed.mark(client)
    values = flatten(params)
    earlier = next(iter(_runs_with_key(client, resume_key, most=1)), None) if resume_key else None
    known = {**(tags or {}), **({"key": resume_key} if resume_key else {})}
    # A second evaluation of one training is a run of its own that has the training's params.
    before = earlier.data.params if earlier else {}
    device = earlier.data.tags.get("device", "") if earlier else ""
    beginning = _beginning(name, known, device)
    beginning.params, beginning.inputs = {**before, **values}, origin.md5s_of(inputs)
    run = StageRun(client, beginning, earlier if earlier and _fits(earlier, values) else None)
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def newest_metric(key: str, name: str) -> float:
    """Metric ``name`` of the newest run tagged ``key`` that has it; NaN where none has."""
    for run in _runs_with_key(store.open_store(), key):
        for known in (view.metric(name), name):  # the latter: of a store from before sections
            if known in run.data.metrics:
                return float(run.data.metrics[known])
    return float("nan")


def tag_newest(key: str, **tags: str) -> None:
    """Set tags on the newest evaluated run that carries ``key``, if there is one."""
    client = store.open_store()
    runs = [run for run in _runs_with_key(client, key) if "kid" in run.data.metrics]
    kept = [mlflow.entities.RunTag(*tag) for tag in tags.items()]
    with suppress(*store.failures()):
        for run in runs[:1]:
            client.log_batch(run.info.run_id, tags=kept)


def _beginning(name: str, tags: Mapping[str, str], device: str) -> Beginning:
    """How a run of stage ``name`` is called, tagged and described; ``device`` trained it, if known.

    ``tags`` that name a device are of a training elsewhere, by params that are not those here.
    """
    kind, _, variant = name.partition("@")
    experiment, commit = origin.experiment(), origin.git_commit()
    told = {
        "mlflow.source.name": f"python -m pipeline.{kind}",
        "mlflow.source.type": "LOCAL",
        "stage": kind,
        "dvc_experiment": experiment,
        killed.PROCESS: killed.this_process(),
    }
    if user := os.environ.get("USER") or os.environ.get("USERNAME"):
        told["mlflow.user"] = user
    if commit:
        told |= {"mlflow.source.git.commit": commit, "git_commit": commit}
    changes: dict[str, Any] = {}
    if kind == TRAIN and "device" not in tags:
        changes = view.changed(variant)
        told["device"] = device or origin.device()
        told["changed"] = view.told(changes)
    told[view.NOTE] = view.note(name, changes, experiment, commit)
    called = view.run_name(name, changes, experiment)
    return Beginning(name, called, {**told, **tags})


def _fits(run: Run, params: Mapping[str, Any]) -> bool:
    """Whether ``run`` is of this experiment and no param of it would have to change."""
    known = run.data.params
    same = all(known.get(key, str(value)) == str(value) for key, value in params.items())
    return same and run.data.tags.get("dvc_experiment") == origin.experiment()


def _runs_with_key(client: MlflowClient, key: str, most: int = 1000) -> list[Run]:
    """Newest first. Raises StageError for a key that no training has: it comes from a file."""
    if not re.fullmatch(r"\w*", key):
        raise StageError(f"{key!r} is no training's key: train again, or copy the folder again")
    experiment = store.experiment_id(client, view.MODELS)
    order = ["attributes.start_time DESC"]
    return list(
        client.search_runs([experiment], f"tags.key = '{key}'", max_results=most, order_by=order)
    )


def _milliseconds() -> int:
    """Since 1970, as MLflow counts."""
    return int(time.time() * 1000)

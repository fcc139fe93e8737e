"""Runs that a server did not take: kept in the local store, and sent from there later.

A run is sent under the id that it has there already, or else once: what a broken attempt has begun
is found again by the local run's id, and no metric is doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.core import store, tracking, view
from pipeline.core.errors import StageError
from pipeline.core.store import mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCAL_RUN = "local_run"  # tag there: the id here
SENT = "sent"  # tag here: where it was sent
NOT_SENT = {tracking.UNSENT, tracking.SENT_AS, SENT}
AT_ONCE = 1000  # metrics, of which a request has at most


def send() -> Iterator[str]:
    """Send what waits to the store that ``MLFLOW_TRACKING_URI`` names; a line for each run.

    Raises StageError where none is named, or it does not take them: what is not sent waits on.
    """
    local = store.open_local()
    waiting = _waiting(local)
    if not waiting:
        return
    there = store.open_named()
    for run in waiting:
        try:
            _send(local, there, run)
        except store.failures() as error:
            place = store.shown(there.tracking_uri)
            raise StageError(f"MLflow at {place}: {store.reason(error)}; the rest waits") from None
        yield f"{run.info.run_name}: sent to {store.shown(there.tracking_uri)}"


def _waiting(local: MlflowClient) -> list[Run]:
    """Ended runs that another store ought to have, the oldest first."""
    known = [local.get_experiment_by_name(name) for name in view.ABOUT]
    ours = [each.experiment_id for each in known if each]
    found = local.search_runs(
        ours, f"tags.{tracking.UNSENT} != ''", order_by=["attributes.start_time ASC"]
    )
    return [run for run in found if run.info.status != "RUNNING"]


def _send(local: MlflowClient, there: MlflowClient, run: Run) -> None:
    run_id = _run_there(local, there, run)
    known = there.get_run(run_id).data.params
    entities = mlflow.entities
    params = [entities.Param(*each) for each in run.data.params.items() if each[0] not in known]
    tags = [entities.RunTag(*each) for each in run.data.tags.items() if each[0] not in NOT_SENT]
    there.log_batch(run_id, params=params, tags=tags)
    points = [
        point
        for name in run.data.metrics
        for point in local.get_metric_history(run.info.run_id, name)
    ]
    for start in range(0, len(points), AT_ONCE):
        there.log_batch(run_id, metrics=points[start : start + AT_ONCE])
    if run.inputs and run.inputs.dataset_inputs:
        there.log_inputs(run_id, datasets=run.inputs.dataset_inputs)
    files = Path(url2pathname(urlsplit(run.info.artifact_uri).path))
    if files.is_dir():
        there.log_artifacts(run_id, str(files))
    there.set_terminated(run_id, run.info.status, run.info.end_time)
    local.set_tag(run.info.run_id, SENT, store.shown(there.tracking_uri))
    local.delete_tag(run.info.run_id, tracking.UNSENT)


def _run_there(local: MlflowClient, there: MlflowClient, run: Run) -> str:
    """The run's id in the other store: that which it had there, else a new one."""
    here: str = run.info.run_id
    name = local.get_experiment(run.info.experiment_id).name
    where = store.experiment_id(there, name)
    begun: list[Any] = there.search_runs([where], f"tags.{LOCAL_RUN} = '{here}'", max_results=1)
    if begun:
        return str(begun[0].info.run_id)
    if (sent_as := run.data.tags.get(tracking.SENT_AS)) and _has(there, sent_as):
        return sent_as
    made = there.create_run(
        where, run.info.start_time, tags={LOCAL_RUN: here}, run_name=run.info.run_name
    )
    return str(made.info.run_id)


def _has(there: MlflowClient, run_id: str) -> bool:
    try:
        return bool(there.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise

"""Runs of stages that were killed: MLflow would call them running for ever."""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from pipeline.core import store, view

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROCESS = "process"  # the tag that says who logs into a run
SLACK = 2.0  # seconds by which two readings of a process's start may differ


def this_process() -> str:
    """This process's machine, number, and start in seconds since 1970: a number is used again."""
    process = psutil.Process()
    return f"{platform.node()}:{process.pid}:{process.create_time():.0f}"


def is_gone(told: str) -> bool:
    """Whether `this_process` of another process was told here, and that one is no more.

    Of other machines, and of what is no such text, nobody knows.
    """
    machine, _, rest = told.partition(":")
    try:
        pid, start = (float(part) for part in rest.split(":"))
    except ValueError:
        return False
    if machine != platform.node():
        return False
    try:
        return abs(psutil.Process(int(pid)).create_time() - start) > SLACK
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def mark(client: MlflowClient) -> None:
    """Mark the runs as killed that no process logs into any more."""
    with suppress(*store.failures()):
        ours = [each for name in view.ABOUT if (each := client.get_experiment_by_name(name))]
        running = client.search_runs(
            [each.experiment_id for each in ours], "attributes.status = 'RUNNING'"
        )
        gone = [run for run in running if is_gone(run.data.tags.get(PROCESS, ""))]
        for run in gone:
            client.set_terminated(run.info.run_id, "KILLED")
        if gone:
            names = ", ".join(str(run.info.run_name) for run in gone)
            print(f"MLflow: marked as killed, their processes are gone: {names}", file=sys.stderr)

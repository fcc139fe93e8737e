"""MLflow's store: where it is, whether it answers, its experiments. The only importer of MLflow.

``dvc exp run --temp`` and ``--queue`` work in a copy of the repository; `stage.root` is the parent
there, so that all experiments land in one store. What cannot be logged elsewhere is logged here.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock

from models.failures import of_its_place
from pipeline.core import stage, store_file, view
from pipeline.core.errors import StageError
from pipeline.core.store_file import SQLITE as SQLITE

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# A server that is gone is given up after half a minute, not after four.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")  # of a PostgreSQL
if TYPE_CHECKING:
    import mlflow
elif "mlflow" in sys.modules:
    mlflow = sys.modules["mlflow"]
else:  # loaded when first used: seconds that a mistake in params.yaml need not wait for
    _spec = importlib.util.find_spec("mlflow")
    _spec.loader = importlib.util.LazyLoader(_spec.loader)
    mlflow = sys.modules["mlflow"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(mlflow)

NAMED = "MLFLOW_TRACKING_URI"
SENDER = "`face2anime sync` sends it there later"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")  # whose files of runs lie beside us
DEFAULT = "0"  # the experiment that MLflow makes and we leave empty
_given_up: set[str] = set()  # stores that failed in this process
# The local file as it was opened, and how often another one took its place.
_opened_files: dict[Path, tuple[tuple[int, int] | None, int]] = {}


def local_file() -> Path:
    """The SQLite file at the project's root."""
    return stage.root() / "mlflow.db"


def local_uri() -> str:
    """The URL of `local_file`, as this process calls it.

    MLflow keeps what it knows of a store by its URL and never looks whether the file is still
    there. So a file that took the place of a deleted one gets a URL of its own.
    """
    path = local_file()
    _, renewed = _opened_files.get(path, (None, 0))
    return store_file.uri(path).removesuffix(path.name) + renewed * "./" + path.name


def store_uri() -> str:
    """``MLFLOW_TRACKING_URI`` or `local_uri`; a relative SQLite file lies at the project's root.

    Raises StageError for a folder, which MLflow takes no longer.
    """
    named = os.environ.get(NAMED, "").strip()
    if not named:
        return local_uri()
    if named.startswith(SQLITE):
        path = stage.root() / named.removeprefix(SQLITE)
        return local_uri() if path == local_file() else store_file.uri(path)
    folder = ":" not in named or named.startswith("file:")
    if folder and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise StageError(
            f"{NAMED} is '{named}', a folder, and MLflow keeps runs in a database: "
            "set it to sqlite:///mlflow.db or to a server's address, or unset it"
        )
    return named


def shown(uri: str) -> str:
    """A store's address without the name and password that it may have."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else uri


def failures() -> tuple[type[Exception], ...]:
    """What MLflow raises where a store, or the way to it, is broken."""
    return mlflow.exceptions.MlflowException, OSError


def reason(error: Exception) -> str:
    """An error of MLflow or of the network in a short line."""
    if told := of_its_place(error):
        return told
    text = " ".join(str(error).split()) or type(error).__name__
    for mark, told in (
        ("401", "401: it asks for a name and password"),
        ("403", "403: not allowed"),
    ):
        if f"error code {mark}" in text or f" {mark} " in text:
            return f"{told}; MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD"
    if "Max retries exceeded" in text or "Connection refused" in text:
        return "it does not answer"
    return text[:200]


def open_store() -> mlflow.MlflowClient:
    """A client of the store; of `local_uri`, said in a line, where the one named cannot be used.

    Raises StageError when the local one cannot be used either.
    """
    uri = store_uri()
    if uri != local_uri():
        try:
            if uri not in _given_up:
                return _opened(uri)
        except Exception as error:  # whatever a store raises, it is none
            give_up(uri, error)
    return open_local()


def open_named() -> mlflow.MlflowClient:
    """A client of the store that ``MLFLOW_TRACKING_URI`` names, and of no other.

    Raises StageError where none is named, or it cannot be used.
    """
    uri = store_uri()
    if uri == local_uri():
        raise StageError(f"{NAMED} names no other store: set it to the server's address")
    try:
        return _opened(uri)
    except Exception as error:
        raise StageError(f"MLflow at {shown(uri)}: {reason(error)}") from None


def open_local() -> mlflow.MlflowClient:
    """A client of `local_uri`. Raises StageError when that file is of another MLflow, or broken."""
    try:
        path = local_file()
        known, renewed = _opened_files.get(path, (None, -1))
        if known is None or known != _identity(path):
            _opened_files[path] = None, renewed + 1
        with FileLock(stage.cache_dir() / "artifacts.lock"):
            store_file.follow(path, stage.root() / store_file.ARTIFACTS)
        client = _opened(local_uri())
        _opened_files[path] = _identity(path), _opened_files[path][1]
        return client
    except Exception as error:  # also of SQLAlchemy and Alembic, below MLflow
        raise unusable(error) from None


def is_local(client: mlflow.MlflowClient) -> bool:
    """Whether this client writes to `local_uri`."""
    return client.tracking_uri == local_uri()


def is_as_opened() -> bool:
    """Whether the local file is the one that was opened; not if it was deleted since."""
    path = local_file()
    known, _ = _opened_files.get(path, (None, 0))
    return known is not None and known == _identity(path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def unusable(error: Exception) -> StageError:
    """What to do about a local store that raised ``error``."""
    if told := of_its_place(error):  # the file is whole: to move it away would be a loss
        return StageError(f"{local_file()} cannot be used: {told}")
    remedy = "move it away for a new one"
    if "schema" in str(error) or "revision" in str(error):
        remedy = f"mlflow db upgrade '{local_uri()}', or {remedy}"
    return StageError(f"{local_file()} cannot be used: {remedy} ({reason(error)})")


def give_up(uri: str, error: Exception) -> None:
    """Ask this store no more in this process, and say so once, and where runs are logged now."""
    if uri not in _given_up:
        told = f"Logged in {local_file()}; {SENDER}"
        print(f"MLflow at {shown(uri)}: {reason(error)}. {told}", file=sys.stderr)
    _given_up.add(uri)


def experiment_id(client: mlflow.MlflowClient, name: str) -> str:
    """The experiment of that name: made, or brought back where somebody deleted it."""
    found = client.get_experiment_by_name(name)
    if found is None:
        identity = _new_experiment(client, name)
    else:
        identity = found.experiment_id
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(identity)
            print(f"MLflow's experiment {name} had been deleted: restored", file=sys.stderr)
    known = found.tags if found else {}
    told = {view.NOTE: view.ABOUT[name]} if view.NOTE not in known else {}
    if name == view.MODELS and known.get(view.VIEW_TAG) != view.table():
        told[view.VIEW_TAG] = view.table()
    with suppress(*failures()):  # on a server, who may log need not be who may describe
        for key, value in told.items():
            client.set_experiment_tag(identity, key, value)
    return str(identity)


def _new_experiment(client: mlflow.MlflowClient, name: str) -> str:
    """Its id; where another machine made it in this moment, the id of that one."""
    database = client.tracking_uri.startswith(DATABASES)
    artifacts = (stage.root() / store_file.ARTIFACTS).as_uri() if database else None
    try:
        return str(client.create_experiment(name, artifact_location=artifacts))
    except failures():
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def select(uri: str) -> None:
    """Have the functions of MLflow that take no client use this store.

    MLflow also writes it into the environment, where it would be taken for what the user named.
    """
    named = os.environ.get(NAMED)
    mlflow.set_tracking_uri(uri)
    if named is None:
        os.environ.pop(NAMED, None)
    else:
        os.environ[NAMED] = named


def _opened(uri: str) -> mlflow.MlflowClient:
    """A client of ``uri`` that has our experiments."""
    # It would tell each failure in dozens of lines; we tell it in one.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    select(uri)
    one_at_a_time: AbstractContextManager[Any] = nullcontext()  # a server's answer may take long
    if uri.startswith(DATABASES):
        # It would ask one that is down for minutes, without a word.
        importlib.import_module("mlflow.store.db.utils").MAX_RETRY_COUNT = 1  # type: ignore[attr-defined]
        # Two processes that migrate a fresh one at once both fail.
        one_at_a_time = FileLock(stage.cache_dir() / "mlflow.lock")
    client = mlflow.MlflowClient(uri)
    with one_at_a_time:
        for name in view.ABOUT:
            experiment_id(client, name)
        if uri == local_uri():
            _hide_default(client)
    return client


def _hide_default(client: mlflow.MlflowClient) -> None:
    """Delete MLflow's own experiment where nobody ever used it."""
    default = client.get_experiment(DEFAULT)
    if default.lifecycle_stage == "active" and not client.search_runs([DEFAULT], max_results=1):
        client.delete_experiment(DEFAULT)

"""Map a function over chunks on many workers; the result does not depend on how many, or where."""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

import cv2
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from pipeline.core import family
from pipeline.core.errors import StageError
from pipeline.core.params import Compute

CHUNK = 64  # images: work for a second or so, little enough for an even finish
CONNECT = 10  # seconds that a dask scheduler, or its first worker, has to answer
QUEUED = 3  # chunks per dask worker that are sent before the first one's result is waited for
Item = TypeVar("Item")
Result = TypeVar("Result")
_WHERE: ContextVar[Compute | None] = ContextVar("where", default=None)


def chunks(items: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """``items`` in slices of ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def on(compute: Compute) -> Iterator[None]:
    """Within it `over` works where ``compute`` says; elsewhere in processes of this machine."""
    token = _WHERE.set(compute)
    try:
        yield
    finally:
        _WHERE.reset(token)


def over(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    label: str,
    total: int | None = None,
) -> list[Result]:
    """``[function(item) for item in items]`` on ``workers`` workers, with a progress bar.

    ``items`` may be a generator: only a few are held at once. A dask scheduler that runs elsewhere
    has as many workers as it has, and they open the files that ``function`` names by themselves.
    Raises StageError when dask is asked for and missing, or its scheduler or workers are.
    """
    workers = min(workers, total) if total else workers
    every = 0.1 if sys.stderr.isatty() else 60.0  # seconds; a log gets one line a minute
    task = partial(_single_threaded, function)
    compute = _WHERE.get() or Compute()
    with tqdm(items, desc=label, total=total, mininterval=every, unit="chunk") as bar:
        if compute.backend == "dask":
            with _dask_client(compute.dask_scheduler, workers) as client:
                return list(_on_dask(client, task, bar))
        # A worker begins with it, before its first chunk.
        born = {"initializer": family.die_with, "initargs": (os.getpid(),)}
        backend = compute.backend if workers > 1 else "sequential"
        with parallel_config(backend, n_jobs=workers, **(born if backend == "loky" else {})):
            return Parallel()(delayed(task)(item) for item in bar)


def over_chunks(
    function: Callable[[Sequence[Item]], Iterable[Result]],
    items: Sequence[Item],
    size: int,
    *,
    workers: int,
    label: str,
) -> list[Result]:
    """What ``function`` makes of slices of ``size`` items, joined."""
    parts = list(chunks(items, size))
    results = over(function, parts, workers=workers, label=label, total=len(parts))
    return [result for part in results for result in part]


def _single_threaded(function: Callable[[Item], Result], item: Item) -> Result:
    cv2.setNumThreads(1)  # the workers already fill the cores
    return function(item)


def _on_dask(
    client: Any, task: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """The results in the items' order. Not by joblib's own dask backend: that waits for ever for a
    task that its workers die of."""
    limit = QUEUED * sum(client.nthreads().values())
    queued: deque[Any] = deque()
    for item in items:
        # Within a partial, because dask would look into an argument for its own kinds of data.
        queued.append(client.submit(partial(task, item), pure=False))
        if len(queued) > limit:
            yield queued.popleft().result()
    while queued:
        yield queued.popleft().result()


@contextmanager
def _dask_client(scheduler: str, workers: int) -> Iterator[Any]:
    """A client of ``scheduler``, or of a cluster of ``workers`` processes that ends with it."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise StageError(
            "compute.backend: dask is not installed: pip install 'face2anime[dask]', or say loky"
        ) from None
    with warnings.catch_warnings():
        # A chunk goes with its task, so that it can be sent anew when its worker is lost.
        warnings.filterwarnings("ignore", "Sending large graph")
        if scheduler:
            with _remote_client(Client, scheduler) as client:
                yield client
            return
        local = {"threads_per_worker": 1, "dashboard_address": ":0"}
        # As loky: no limit of memory at which a worker is killed.
        with (
            LocalCluster(n_workers=workers, memory_limit=0, **local) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


@contextmanager
def _remote_client(connect: Callable[..., Any], scheduler: str) -> Iterator[Any]:
    start = f"start `dask worker {scheduler} --nthreads 1` where face2anime is installed"
    try:
        client = connect(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StageError(
            f"compute.dask_scheduler: nothing answers at {scheduler} "
            f"({' '.join(str(error).split())}): start `dask scheduler` there, or leave it empty"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError:
            raise StageError(
                f"compute.dask_scheduler: {scheduler} has no worker: {start}"
            ) from None
        try:
            client.run(_single_threaded, len, ())
        except Exception as error:  # a worker that cannot load a task would never answer for it
            raise StageError(
                f"compute.dask_scheduler: a worker of {scheduler} cannot load this package "
                f"({' '.join(str(error).split())}): {start}"
            ) from None
        yield client

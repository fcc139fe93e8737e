"""Training data that may not fit: in memory where it does, else decoded by worker processes.

The images of a step are a function of the seed and of the images seen, so the workers know long
before what comes next, and the training sees the same bytes in the same order either way.
"""

from __future__ import annotations

import copy
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from models.data.domain import Domain, StreamedDomain, open_domain
from models.data.shards import Shards
from models.domains import DOMAINS
from models.errors import ModelError
from models.runtime.distributed import rank
from models.runtime.sampling import Order

SHARE = 0.5  # of the free memory that images may fill; networks and activations need the rest
AHEAD = 4  # batches that each worker has ready


def load_training(
    root: Path | str,
    split: str,
    image_size: int,
    device: torch.device,
    resident: bool | None = None,
    workers: int | None = None,
) -> tuple[Domain | StreamedDomain, Domain | StreamedDomain]:
    """Photos and anime faces of `split` as `open_domain` finds them: in memory, or
    streamed by `workers` processes (at most one a processor; None: as many as there are to spare).

    `resident` None chooses: in memory are both or neither, by whether their uint8 bytes are at most
    half of the free memory of `device` (and of the machine, through which they go there). One line
    says so where they are streamed. Raises ModelError for data that is absent or wrong.
    """
    opened = [open_domain(root, split, d, image_size) for d in DOMAINS]
    needed = sum(len(domain) for domain in opened) * 3 * image_size**2
    free, where = free_memory(device)
    if resident is None:
        resident = needed <= SHARE * free
    if resident:
        photos, anime = (domain.take(range(len(domain))) for domain in opened)
        return photos, anime
    workers = spare_processors() if workers is None else min(workers, processors())
    if rank() == 0:
        print(
            f"streaming images from their shards by {workers} processes: decoded they are "
            f"{needed / 1e9:.2f} GB, {SHARE:.0%} of the free memory of {where} is "
            f"{SHARE * free / 1e9:.2f} GB",
            flush=True,
        )
    return replace(opened[0], workers=workers), replace(opened[1], workers=workers)


def free_memory(device: torch.device) -> tuple[int, str]:
    """Free bytes for this process of `device` or of the machine, whichever is less, and which."""
    host = _free_ram() // _processes_here()
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if free < host:
            return free, str(device)
    return host, "this machine"


def _free_ram() -> int:
    """Bytes that Linux says are available, within the limit of the container; else all RAM."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":") for line in lines)
        free = int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return free


def spare_processors() -> int:
    """Worker processes for one training process: one processor is left to it; 1 … 8."""
    return min(8, max(1, processors() // _processes_here() - 1))


def processors() -> int:
    """How many this process may use."""
    linux = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1


def _processes_here() -> int:
    """How many training processes torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Stream:
    """The images of step after step, decoded ahead."""

    def __init__(
        self,
        domains: Mapping[str, StreamedDomain],
        batch_size: int,
        device: torch.device,
        stride: int | None = None,
    ) -> None:
        """`stride` is from one step's images to the next's: more than `batch_size`, the default,
        where other processes see those between."""
        self.domains, self.batch_size, self.device = domains, batch_size, device
        self.stride = stride or batch_size
        self._orders: Mapping[str, Order] | None = None
        self._next = 0
        self._batches: Iterator[dict[str, Tensor] | ModelError] = iter(())

    def at(self, orders: Mapping[str, Order], seen: int) -> dict[str, Tensor]:
        """Of each domain the images at positions seen … seen + batch_size − 1 of its order: uint8
        [N, 3, S, S] on the device.

        Any position may be asked for; only the one after the last is ready. Raises ModelError for
        a broken image, and when a worker was killed.
        """
        if orders is not self._orders or seen != self._next:
            self._start(orders, seen)
        self._next = seen + self.stride
        images = self._awaited()
        if isinstance(images, ModelError):
            self._stop()
            raise images
        return {d: x.to(self.device, non_blocking=True) for d, x in images.items()}

    def _awaited(self) -> dict[str, Tensor] | ModelError:
        """The next batch, or what is wrong with it."""
        try:
            return next(self._batches)
        except (RuntimeError, OSError, EOFError) as error:  # a worker is gone, or its last batch
            # Returned without its cause, whose traceback would keep the other workers alive.
            why = " ".join(str(error).split())
        return ModelError(
            f"a process that decodes images has died ({why}): "
            "free memory or /dev/shm, or use fewer workers"
        )

    def _start(self, orders: Mapping[str, Order], seen: int) -> None:
        """Workers that begin at `seen`, in place of those before."""
        self._stop()
        self._orders = orders
        workers = max(domain.workers for domain in self.domains.values())
        streamed = {d: orders[d] for d in self.domains}
        loader = DataLoader(
            _Decoder({d: domain.shards for d, domain in self.domains.items()}),
            batch_size=None,  # the sampler gives the rows of a whole batch
            sampler=_Upcoming(streamed, seen, self.batch_size, self.stride),
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # or the loader draws from the training's random numbers
        )
        # torch's handler of dead children raises wherever the training happens to be; without it
        # the loader finds out by itself, within seconds, where its batch is waited for.
        handler = signal.getsignal(signal.SIGCHLD)
        self._batches = iter(loader)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)

    def _stop(self) -> None:
        """End the workers now: left to an error's traceback, they end late or at exit, slowly."""
        self._orders, self._batches = None, iter(())


class _Upcoming(Sampler[dict[str, list[int]]]):
    """The rows of each domain, batch after batch, without end."""

    def __init__(
        self, orders: Mapping[str, Order], seen: int, batch_size: int, stride: int
    ) -> None:
        # Copies: an order keeps the epoch that it was last asked for, and this one runs ahead.
        self.orders = {d: copy.copy(order) for d, order in orders.items()}
        self.seen, self.batch_size, self.stride = seen, batch_size, stride

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        for position in count(self.seen, self.stride):
            yield {d: o.rows(position, self.batch_size).tolist() for d, o in self.orders.items()}


class _Decoder(Dataset[dict[str, Tensor] | ModelError]):
    """What a worker does. It returns a ModelError, for the loader would wrap one that is raised
    in the traceback of the worker."""

    def __init__(self, shards: Mapping[str, Shards]) -> None:
        self.shards = dict(shards)

    def __getitem__(self, rows: Mapping[str, list[int]]) -> dict[str, Tensor] | ModelError:
        try:
            return {d: self.shards[d].images(rows[d]) for d in rows}
        except ModelError as error:
            return ModelError(str(error))  # without its cause, which may not travel

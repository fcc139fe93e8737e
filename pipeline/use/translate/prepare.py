"""The way of a picture to its drawn faces: read, faces found, cut out, translated, enlarged.

Several pictures are on it at once, each in a thread of its own, and come back in their order.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.core.errors import StageError
from pipeline.imaging import images
from pipeline.use.drawing import Drawer, Drawn
from pipeline.use.translate.inputs import Source
from pipeline.use.translate.manifest import Done, Manifest


@dataclass(frozen=True)
class Prepared:
    """A picture whose faces are drawn, or why they are not."""

    source: Source
    digest: str = ""  # of its file, "" for an address
    done: Done | None = None  # it was translated by an earlier run
    problem: str = ""  # why it cannot be read
    rgb: np.ndarray | None = None  # uint8 [H, W, 3]; None where nobody needs it
    drawn: Drawn | None = None
    seconds: float = 0.0


class Ahead:
    """What ``prepare`` makes of sources, in their order.

    ``workers`` are begun at once, and one more waits, so that none idles while one is written.
    """

    def __init__(
        self, prepare: Callable[[Source], Prepared], sources: Iterable[Source], workers: int
    ) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._prepare, self._left = prepare, iter(sources)
        self._begun: deque[Future[Prepared]] = deque()
        for _ in range(workers + 1):
            self._begin()

    def __iter__(self) -> Iterator[Prepared]:
        while self._begun:
            ready = self._begun.popleft().result()
            self._begin()
            yield ready

    def close(self) -> None:
        """Begin nothing more; wait for the pictures at hand."""
        self._pool.shutdown(cancel_futures=True)

    def _begin(self) -> None:
        for source in self._left:
            self._begun.append(self._pool.submit(self._prepare, source))
            return


@dataclass
class Preparer:
    """Prepares pictures, in any number of threads.

    Args:
        manifest: tells what was done before.
        job: names the way in which it is to be done.
        drawer: makes what draws; each thread has one.
        to: "anime" or "photo".
        size: pixels of a drawn face's side.
        look: whether pictures that were done before are read nevertheless.
        keep: whether the pictures themselves are needed afterwards.
    """

    manifest: Manifest
    job: str
    drawer: Callable[[], Drawer]
    to: str
    size: int
    look: bool
    keep: bool
    _own: threading.local = field(default_factory=threading.local)

    def __call__(self, source: Source) -> Prepared:
        """Raises ModelError where the model's files are broken or public weights are missing, and
        StageError where the detector of drawings is blind."""
        start = time.monotonic()
        read = self._read(source)
        if read.rgb is None or read.done:
            return read
        drawer = self._drawer()
        try:
            drawn = drawer.draw(read.rgb, self.to, self.size)
        except StageError as error:
            return Prepared(source, problem=str(error))
        rgb = read.rgb if self.keep else None
        return replace(read, rgb=rgb, drawn=drawn, seconds=time.monotonic() - start)

    def _drawer(self) -> Drawer:
        if not hasattr(self._own, "drawer"):
            self._own.drawer = self.drawer()
            self._own.drawer.prepare(self.to)
        drawer: Drawer = self._own.drawer
        return drawer

    def _read(self, source: Source) -> Prepared:
        """The picture, its faces not looked for; or only that it was done before."""
        find, digest = self.manifest.find, ""
        done = find(source.identity, "", self.job) if source.is_url else None
        if done and not self.look:
            return Prepared(source, done=done)
        try:
            data = source.read()
            if not source.is_url:
                digest = hashlib.sha256(data).hexdigest()
                done = find(source.identity, digest, self.job)
            if done and not self.look:
                return Prepared(source, digest, done)
            return Prepared(source, digest, done, rgb=images.read_rgb(data))
        except StageError as error:
            return Prepared(source, problem=str(error))

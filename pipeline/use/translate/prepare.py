"""The way of a picture up to the network: read, faces found, cut out on the template."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.imaging import images
from pipeline.use import faces
from pipeline.use.drawing import cut_faces
from pipeline.use.faces import Face
from pipeline.use.translate.inputs import Source
from pipeline.use.translate.manifest import Done, Manifest


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready for the network, or why it is not."""

    source: Source
    digest: str = ""  # of its file, "" for an address
    done: Done | None = None  # it was translated by an earlier run
    problem: str = ""  # why it cannot be read
    rgb: np.ndarray | None = None  # uint8 [H, W, 3]; None where nobody needs it
    faces: list[Face] = field(default_factory=list)  # large enough, from left to right
    small: list[float] = field(default_factory=list)  # pixels between the eyes of the others
    crops: np.ndarray | None = None  # uint8 [N, S, S, 3], of the faces
    seconds: float = 0.0


AHEAD = 2  # pictures that are prepared while one is translated; a large one takes 150 MB


class Ahead:
    """What `Preparer` makes of sources, in their order, begun at once in another thread."""

    def __init__(self, prepare: Preparer, sources: Iterable[Source]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._prepare, self._left = prepare, iter(sources)
        self._begun: deque[Future[Prepared]] = deque()
        for _ in range(AHEAD):
            self._begin()

    def __iter__(self) -> Iterator[Prepared]:
        while self._begun:
            ready = self._begun.popleft().result()
            self._begin()
            yield ready

    def close(self) -> None:
        """Begin nothing more; wait for the picture at hand."""
        self._pool.shutdown(cancel_futures=True)

    def _begin(self) -> None:
        for source in self._left:
            self._begun.append(self._pool.submit(self._prepare, source))
            return


@dataclass
class Preparer:
    """Prepares pictures one after the other.

    Args:
        manifest: tells what was done before.
        job: names the way in which it is to be done.
        domain: of the pictures, "photos" or "anime".
        align: the model's template.
        look: whether pictures that were done before are read nevertheless.
    """

    manifest: Manifest
    job: str
    domain: str
    align: Align
    look: bool
    _find: faces.Finder | None = None

    def __call__(self, source: Source) -> Prepared:
        """What can be translated in it. Raises ModelError where public weights are missing, and
        StageError where the detector of drawings is blind."""
        start = time.monotonic()
        read = self._read(source)
        if read.rgb is None or read.done:
            return read
        if self._find is None:  # loaded in the thread that uses it
            self._find = faces.finder(self.domain)
        try:
            found = cut_faces(read.rgb, self._find, self.align)
        except StageError as error:
            return Prepared(source, problem=str(error))
        crops = found.crops if found.faces else None
        seconds = time.monotonic() - start
        return replace(read, faces=found.faces, small=found.small, crops=crops, seconds=seconds)

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
            return Prepared(source, digest, done, rgb=images.read_rgb(data, managed=True))
        except StageError as error:
            return Prepared(source, problem=str(error))

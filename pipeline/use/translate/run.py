"""``face2anime translate``: faces of anybody's photos as anime faces, or of drawings as photos.

Several pictures are drawn at once (see `prepare`), and written in their order. Every file appears
in one move, and a second run does only what is missing: see `manifest`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.domains import DIRECTIONS
from models.runtime.files import write_bytes
from models.runtime.progress import Progress
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.figures import sheets
from pipeline.imaging.images import read_rgb
from pipeline.use.compute import cores, settled
from pipeline.use.drawing import Drawer, Network, cut, small_face
from pipeline.use.model import DIRECTION, Model, choose
from pipeline.use.pasting import paste
from pipeline.use.translate.inputs import Source, sources
from pipeline.use.translate.manifest import GRID, Done, Manifest
from pipeline.use.translate.prepare import Ahead, Prepared, Preparer

WORKERS = 4  # pictures drawn at once, at most: a large one takes 300 MB
SHOWN = 200  # faces on the sheet, at most
CELL = 256  # pixels of a face there
FAILED, NO_FACE = 1, 3  # exit codes


@dataclass(frozen=True)
class Wishes:
    """What a user asks for."""

    out: Path
    to: str = "anime"  # or "photo"
    size: int = 512  # pixels of a translated face's side
    grid: bool = False
    paste: bool = False
    as_json: bool = False

    @property
    def direction(self) -> str:
        """As models name it."""
        return DIRECTION[self.to]


def translate(names: Sequence[str], model_name: str, wishes: Wishes) -> int:
    """Translate all faces of the pictures ``names``; files, folders or addresses.

    Returns the exit code: 0, `FAILED` when a picture could not be read, or else `NO_FACE` when one
    had no face.

    Raises StageError or ModelError where nothing can be done at all.
    """
    model, line = choose(model_name)
    found, problems = sources(names, wishes.out)
    for told in filter(None, [line, *problems]):
        _say(told)
    if not found:
        raise StageError("there is no picture to translate")
    if wishes.grid and str((wishes.out / GRID).resolve()) in {each.identity for each in found}:
        raise StageError(f"{wishes.out / GRID} is to be translated and written: change --out")
    manifest = Manifest(wishes.out)
    run = _Run(model, wishes, manifest, failed=len(problems))
    prepared = _begun(run, found)
    try:
        with Progress(len(found), "translate", "pictures", quiet=len(found) == 1) as progress:
            for number, picture in enumerate(prepared, 1):
                run.take(picture)
                progress.update(number)
        run.finish()
    finally:
        prepared.close()
        manifest.close()
    return FAILED if run.failed else NO_FACE if run.faceless else 0


def _begun(run: _Run, found: Sequence[Source]) -> Ahead:
    """The pictures on their way: several at once, or one by all cores."""
    compute, wishes = settled(), run.wishes
    busy = cores(compute)
    workers = min(busy, len(found), WORKERS)
    threads = busy // workers if workers > 1 else compute.threads
    if threads:
        cv2.setNumThreads(threads)
    network = Network(run.model, compute.device, threads)
    preparer = Preparer(
        run.manifest, run.job, lambda: Drawer(run.model, network=network), wishes.to, wishes.size,
        look=wishes.grid, keep=wishes.grid or wishes.paste,
    )  # fmt: skip
    return Ahead(preparer, found, workers)


@dataclass
class _Run:
    """Counts, and what is kept for the sheet."""

    model: Model
    wishes: Wishes
    manifest: Manifest
    failed: int = 0
    faceless: int = 0
    translated: int = 0
    there: int = 0
    _told: bool = False
    _before: list[np.ndarray] = field(default_factory=list)  # uint8 [CELL, CELL, 3]
    _after: list[np.ndarray] = field(default_factory=list)

    @property
    def job(self) -> str:
        """What the files hang on besides the picture."""
        wishes = self.wishes
        pasted = " pasted" if wishes.paste else ""
        return f"{self.model.digest} {wishes.direction} {wishes.size}{pasted}"

    @property
    def template(self) -> Align:
        """How what is translated lies in its square."""
        return self.model.template(self.wishes.to)

    def take(self, picture: Prepared) -> None:
        """Translate a picture's faces, or say why there are none."""
        if picture.problem:
            self.failed += 1
            _say(f"{picture.source.shown}: {picture.problem}")
            return
        drawn = picture.drawn
        if drawn and drawn.cut.faces:
            self._warn()
        start = time.monotonic()
        done = picture.done or self._write(picture)
        each = (picture.seconds + time.monotonic() - start) / max(len(done.outputs), 1)
        self._tell(picture.source, done, each)
        self.there += len(done.outputs) if picture.done else 0
        if self.wishes.grid and picture.rgb is not None:
            self._show(picture.rgb, done)

    def finish(self) -> None:
        """Draw the sheet and say how it went."""
        if self.wishes.grid and self._before:
            left, right = DIRECTIONS[self.wishes.direction]
            columns = {left: np.stack(self._before), right: np.stack(self._after)}
            title, blocks = f"{self.model.name}, {left} to {right}", 1 + (len(self._after) > 3)
            sheets.comparison_sheet(self.wishes.out / GRID, columns, title, blocks=blocks)
        what = "picture" if self.model.takes_whole(self.wishes.to) else "face"
        notes = [f"{_count(self.translated, what)} in {self.wishes.out}"]
        notes += [f"{self.there} there before"] * bool(self.there)
        notes += [f"{_count(self.faceless, 'picture')} without a face"] * bool(self.faceless)
        notes += [f"{self.failed} failed"] * bool(self.failed)
        if self.wishes.grid and self.translated > SHOWN:
            notes.append(f"{GRID} shows the first {SHOWN}")
        _say(", ".join(notes))

    def _warn(self) -> None:
        """Say once what is odd about this model, when it has drawn something."""
        lines = (self.model.way(self.wishes.to), self.model.warning(self.wishes.to))
        for line in filter(None, () if self._told else lines):
            _say(line)
        self._told = True

    def _write(self, picture: Prepared) -> Done:
        """Write a picture's files under names of their own."""
        assert picture.drawn
        wishes, cut, source = self.wishes, picture.drawn.cut, picture.source
        eyes, pictures = [face.eyes for face in cut.faces], list(picture.drawn.pictures)
        done = self.manifest.claim(
            source.stem, source.identity, picture.digest, self.job, eyes, cut.small, wishes.paste
        )
        try:
            for name, image in zip(done.outputs, pictures, strict=True):
                write_bytes(wishes.out / name, tables.encode_png(image))
            if done.pasted and picture.rgb is not None:
                whole = paste(picture.rgb, cut.faces, pictures, self.template)
                write_bytes(wishes.out / done.pasted, tables.encode_jpeg(whole))
        except OSError as error:
            raise StageError(f"{wishes.out} cannot be written: {error.strerror}") from None
        return done

    def _tell(self, source: Source, done: Done, seconds: float) -> None:
        for distance in done.small:
            _say(f"{source.shown}: {small_face(distance)}")
        if not done.outputs:
            self.faceless += 1
            if not done.small:
                _say(f"{source.shown}: no face found")
        self.translated += len(done.outputs)
        for name, eyes in zip(done.outputs, done.eyes, strict=True):
            path = str(self.wishes.out / name)
            if not self.wishes.as_json:
                print(path, flush=True)
                continue
            seen = None if self.model.takes_whole(self.wishes.to) else eyes
            told: dict[str, Any] = {"input": source.shown, "output": path, "eyes": seen}
            told["size"] = self.wishes.size
            if done.pasted:
                told["pasted"] = str(self.wishes.out / done.pasted)
            print(json.dumps({**told, "seconds": round(seconds, 3)}), flush=True)

    def _show(self, rgb: np.ndarray, done: Done) -> None:
        """Keep faces for the sheet, from the files: an earlier run may have made them."""
        room = SHOWN - len(self._before)
        eyes = [np.array(pair) for pair in done.eyes[:room]]
        if not eyes:
            return
        self._before += list(cut(rgb, eyes, self.template.model_copy(update={"size": CELL})))
        for name in done.outputs[:room]:
            image = read_rgb((self.wishes.out / name).read_bytes())
            self._after.append(cv2.resize(image, (CELL, CELL), interpolation=cv2.INTER_AREA))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _say(line: str) -> None:
    print(f"translate: {line}", file=sys.stderr, flush=True)

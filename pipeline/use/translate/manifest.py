"""What lies in a folder of translations: a line of JSON for each picture that was done.

So a second run knows what is there already, under which names, and overwrites nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.runtime.files import remove
from pipeline.core.errors import StageError

NAME = "translated.jsonl"
GRID = "grid.png"


@dataclass(frozen=True)
class Done:
    """A picture that was done; files by their names in the folder."""

    identity: str  # see `pipeline.use.translate.inputs.Source`
    digest: str  # sha256 of the file; what an address gives is not asked twice
    job: str  # which model, and what was asked of it
    eyes: list[list[list[float]]]  # of each face that was translated: [[x, y], [x, y]]
    outputs: list[str]  # one for each face
    pasted: str = ""
    small: tuple[float, ...] = ()  # pixels between the eyes of faces that were left out

    @property
    def files(self) -> list[str]:
        """All that was written for it."""
        return [*self.outputs, *([self.pasted] if self.pasted else [])]


class Manifest:
    """The lines of a folder; later ones replace earlier ones of the same picture."""

    def __init__(self, out: Path) -> None:
        """Make the folder where it is missing. Raises StageError where it cannot be written."""
        self.out = out
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._file = (out / NAME).open("a+", encoding="utf-8")
            self._file.seek(0)
            lines = self._file.read().splitlines()
            if lines and not self._ends_with_a_line():
                self._file.write("\n")  # of a run that was killed while it wrote
        except OSError as error:
            raise StageError(f"{out} cannot be written ({error.strerror}): change --out") from None
        known = (_parsed(line) for line in lines)
        self._done = {done.identity: done for done in known if done}
        files = (name for done in self._done.values() for name in done.files)
        self._taken = {GRID, NAME, *map(str.casefold, files)}  # in any letters: disks differ

    def find(self, identity: str, digest: str, job: str) -> Done | None:
        """The picture's line, if it was done in this way and all its files are there."""
        done = self._done.get(identity)
        if done and (done.digest, done.job) == (digest, job) and self._whole(done):
            return done
        return None

    def claim(
        self,
        stem: str,
        identity: str,
        digest: str,
        job: str,
        eyes: Sequence[np.ndarray],
        small: Sequence[float],
        pasted: bool,
    ) -> Done:
        """Write the line of a picture before its files, which have names that nothing else has.

        What was there of the same picture goes. A run that is killed before all the files are there
        is repeated.
        """
        if before := self._done.pop(identity, None):
            for name in before.files:
                remove(self.out / name)
                self._taken.discard(name.casefold())
        label, number = stem, 1
        while not self._free(files := _names(label, len(eyes), pasted)):
            number += 1
            label = f"{stem}_{number}"
        outputs = files[: len(eyes)]
        done = Done(
            identity,
            digest,
            job,
            [np.round(pair, 2).tolist() for pair in eyes],
            outputs,
            files[-1] if pasted and outputs else "",
            tuple(round(float(value), 1) for value in small),
        )
        self._file.write(json.dumps(asdict(done)) + "\n")
        self._file.flush()
        self._done[identity] = done
        self._taken |= {name.casefold() for name in done.files}
        return done

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def _ends_with_a_line(self) -> bool:
        return (self.out / NAME).read_bytes().endswith(b"\n")

    def _whole(self, done: Done) -> bool:
        return all((self.out / name).is_file() for name in done.files)

    def _free(self, names: Sequence[str]) -> bool:
        """Whether no file is called so, nor will be."""
        return not any(n.casefold() in self._taken or (self.out / n).exists() for n in names)


def _names(label: str, faces: int, pasted: bool) -> list[str]:
    """``label.png``, or ``label-1.png`` … for several faces; then the pasted picture."""
    numbers = [""] if faces == 1 else [f"-{number + 1}" for number in range(faces)]
    names = [f"{label}{number}.png" for number in numbers]
    return names + ([f"{label}-pasted.jpg"] if pasted and faces else [])


def _parsed(line: str) -> Done | None:
    """None for a line that is none, or that names what does not lie in the folder."""
    try:
        told: dict[str, Any] = json.loads(line)
        done = Done(**told)
        plain = all(Path(name).name == name for name in done.files)
        return done if plain and len(done.eyes) == len(done.outputs) else None
    except (ValueError, TypeError, RecursionError):
        return None

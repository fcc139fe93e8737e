"""A small project whose stages are run for real, broken on purpose, and looked at afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from pipeline.core import tables, yaml_files
from pipeline.demo.anime.page import draw_page, page_size
from pipeline.demo.attributes import booru_tags, sample_faces
from pipeline.faces.extract import PROVENANCE
from pipeline.imaging.attributes import ATTRIBUTES
from pipeline.imaging.images import pixel_id
from tests.models.helpers import write_splits
from tests.project import PATIENCE, PLAIN, ROOT, environment

# More than 64 pictures are two chunks of work, so that there are two workers; most are too small to
# be looked at.
PICTURES, PAGES, FACES = 68, 6, 60
STAGES = {
    "faces": (["-m", "pipeline.faces"], ["data/faces", "data/dropped/faces.parquet"]),
    "split": (["-m", "pipeline.split"], ["data/splits"]),
    "train": (["-m", "pipeline.train", "--variant", "cyclegan"], ["checkpoints/cyclegan"]),
}
TINY = {
    "compute": {"device": "cpu", "threads": 1, "workers": 2},
    "split": {"val": 0.2, "test": 0.2},
    "train": {
        "image_size": 32, "budget_images": 64, "batch_size": 8, "log_every": 16,
        "sample_every": 32, "evaluate_every": 64, "state_every": 8,
    },
}  # fmt: skip


def make_project(folder: Path) -> Path:
    """Inputs of the stages, no outputs. The splits of `train` lie apart, see `Project.prepare`."""
    (folder / "data/dropped").mkdir(parents=True)
    content = yaml_files.read(ROOT / "params.yaml")
    for section, values in TINY.items():
        content[section].update(values)
    content["variants"] = PLAIN
    (folder / "params.yaml").write_text(yaml_files.dumps(content), encoding="utf-8")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    raw = pd.DataFrame([_picture(number) for number in range(PICTURES)])
    tables.write_frame(folder / "data/raw", "raw", raw, by=["source", "batch"])
    for domain, by in (("photos", ["batch"]), ("anime", ["source", "batch"])):
        frame = pd.DataFrame([_face(number) for number in range(FACES)])
        tables.write_frame(folder / "data" / domain, domain, frame, by=by)
    pairs = dict.fromkeys(["verdict", "first_kept", "second_kept"], "str")
    frame = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in pairs.items()})
    tables.write_file(folder / "data/dropped/anime_pairs.parquet", frame)
    write_splits(folder / "ready", "train", "val", count=16)
    return folder


def _picture(number: int) -> dict[str, object]:
    people = sample_faces(1, number % 8, "anime")
    # The drawn ones are spread over both chunks.
    if number % (PICTURES // PAGES) == 0:
        rgb, _ = draw_page(people, *page_size(1, 60), number)
    else:
        rgb = np.full((40, 40, 3), number, np.uint8)
    data = tables.encode_png(rgb)
    return {
        "id": hashlib.sha256(data).hexdigest(),
        "image": {"bytes": data, "path": None},
        "md5": hashlib.md5(data).hexdigest(),
        **{name: f"{name}{number}" for name in PROVENANCE},
        **{"source": "site", "tags": " ".join(booru_tags(people, number)), "batch": 0},
    }


def _face(number: int) -> dict[str, object]:
    rng = np.random.default_rng(number)
    rgb = np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    return {
        "id": pixel_id(rgb),
        "image": {"bytes": tables.encode_png(rgb), "path": None},
        **dict.fromkeys(ATTRIBUTES, "unknown"),
        **{"file": f"{number:06d}.jpg", "identity": number, "source": "a", "url": f"u{number}"},
        **{"post_id": str(number), "raw_id": str(number), "cluster": str(number)},
        **dict.fromkeys(["box_x", "box_y", "box_w", "box_h"], 1.0),
        **dict.fromkeys(["left_x", "left_y", "right_x", "right_y"], 1.0),
        **{"licence": "CC0-1.0", "batch": 0},
    }


@dataclass
class Ended:
    """How a run of a stage ended."""

    code: int
    printed: str

    @property
    def line(self) -> str:
        """The last line."""
        return self.printed.strip().splitlines()[-1] if self.printed.strip() else ""


@dataclass
class Project:
    """A project's folder, and what its stages write there when nothing is in their way."""

    folder: Path
    expected: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def prepare(self, stage: str) -> None:
        """The inputs of ``stage`` as they were made, no output."""
        for path in STAGES[stage][1]:
            remove(self.folder / path)
        if stage == "train":
            remove(self.folder / "data/splits")
            shutil.copytree(self.folder / "ready", self.folder / "data/splits")

    def command(self, stage: str) -> list[str]:
        return [sys.executable, *STAGES[stage][0]]

    def start(
        self, stage: str, wrap: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """A run in a session of its own; ``wrap``: words before the command; ``env``: besides."""
        return self.start_any([*wrap, *self.command(stage)], env)

    def start_any(
        self, command: Sequence[str], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Any command in the project's folder, in a session of its own."""
        ours = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        env = environment(**ours, **(env or {}))
        return subprocess.Popen(
            command, cwd=self.folder, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, stage: str, wrap: tuple[str, ...] = ()) -> Ended:
        return finish(self.start(stage, wrap))

    def learn(self, stage: str) -> None:
        """Run ``stage`` in peace, and remember its outputs and how long it took."""
        self.prepare(stage)
        started = time.monotonic()
        ended = self.run(stage)
        assert ended.code == 0, ended.printed
        self.seconds[stage] = time.monotonic() - started
        self.expected[stage] = self.outputs(stage)
        assert self.expected[stage]

    def outputs(self, stage: str) -> dict[str, str]:
        """sha256 of every file that ``stage`` writes."""
        found = [self.folder / path for path in STAGES[stage][1]]
        files = [f for path in found for f in ([path] if path.is_file() else path.rglob("*"))]
        return {
            f.relative_to(self.folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest()
            for f in files
            if f.is_file()
        }

    def half_written(self) -> list[str]:
        """What was left of a folder or file that was being written."""
        found = [*self.folder.rglob(".*.part"), *self.folder.rglob(".*.tmp")]
        return [path.relative_to(self.folder).as_posix() for path in found]


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for its end; what still holds its output then is found by `left_behind`."""
    try:
        printed, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Ended(process.returncode, printed)


def left_behind(session: int, seconds: float = 30) -> list[str]:
    """Processes of a run that live on after it, given some time to end."""
    end = time.monotonic() + seconds
    while (found := _members(session)) and time.monotonic() < end:
        time.sleep(0.1)
    for process in found:
        process.kill()
    return [f"{process.pid}" for process in found]


def _members(session: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _is_of(process, session)]


def _is_of(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.Error):
        return False


def children(process: int, what: str) -> list[psutil.Process]:
    """Living children of a run whose command has ``what``, at any depth."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        try:
            if any(what in word for word in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def remove(path: Path) -> None:
    """A file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

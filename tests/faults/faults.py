"""What is done to a stage, and what it must say; each by name, for the tests and for the table."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.core import yaml_files
from tests.faults.bench import STAGES, Ended, Project, children, finish, left_behind, remove

DRAW = random.Random(1)
DIES = 0.9  # of a stage's time: a moment before this is in its middle


@dataclass(frozen=True)
class Outcome:
    """What came of a fault."""

    ended: Ended
    session: int


@dataclass(frozen=True)
class Fault:
    """One fault. ``says``: what the last line has, where the stage can still speak; None: it ends
    well, as if nothing had been."""

    do: Callable[[Project, str], Outcome]
    stages: tuple[str, ...]
    told: str  # what happens, for the table
    says: str | None = None
    silent: bool = False  # killed, it says nothing
    undo: Callable[[Project, str], None] | None = None
    verified: bool = False  # `face2anime verify` speaks, in place of the stage


def middle(project: Project, stage: str) -> float:
    """Seconds into a run: a random moment of it."""
    return project.seconds[stage] * DRAW.uniform(0.3, DIES)


def signalled(number: int, group: bool) -> Callable[[Project, str], Outcome]:
    """A signal at a random moment, to the stage alone or to all of its processes."""

    def do(project: Project, stage: str) -> Outcome:
        process = project.start(stage)
        time.sleep(middle(project, stage))
        if process.poll() is None:
            (os.killpg if group else os.kill)(process.pid, number)
        return Outcome(finish(process), process.pid)

    return do


def stopped(project: Project, stage: str) -> Outcome:
    """Ctrl-Z, and `fg` after a while."""
    process = project.start(stage)
    time.sleep(middle(project, stage))
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGCONT)
    return Outcome(finish(process), process.pid)


def child_killed(what: str) -> Callable[[Project, str], Outcome]:
    """The kernel takes a child of the stage for its memory, as soon as there is one."""

    def do(project: Project, stage: str) -> Outcome:
        process = project.start(stage)
        while process.poll() is None and not (found := children(process.pid, what)):
            time.sleep(0.02)
        for child in found[:1]:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        return Outcome(finish(process), process.pid)

    return do


def twice(project: Project, stage: str) -> Outcome:
    """The second of two runs at once; the first must end as ever."""
    first, second = project.start(stage), project.start(stage)
    ended = [finish(process) for process in (first, second)]
    assert sorted(each.code for each in ended) == [0, 1], [each.printed for each in ended]
    assert project.outputs(stage) == project.expected[stage]
    refused = ended[0] if ended[0].code else ended[1]
    left = first.pid if refused is ended[0] else second.pid
    return Outcome(refused, left)


def mounted(script: str) -> Callable[[Project, str], Outcome]:
    """The stage in a mount namespace of its own, in which ``script`` changed a disk."""

    def do(project: Project, stage: str) -> Outcome:
        wrap = ("unshare", "-rm", "sh", "-c", f'{script} && exec "$@"', "sh")
        process = project.start(stage, wrap)
        return Outcome(finish(process), process.pid)

    return do


# What was there is copied into it, so that the stage finds its inputs.
SMALL = "cp -a data kept && mount -t tmpfs -o size={size} tmpfs data && cp -a kept/. data/"
SMALL += " ; rm -rf kept"
FULL = SMALL.format(size="$(( $(du -sk kept | cut -f1) + 8 ))k")
READ_ONLY = "mount --bind . . && mount -o remount,bind,ro . . && cd ."


def can_mount() -> bool:
    """Whether this user may mount within a namespace."""
    if not shutil.which("unshare"):
        return False
    test = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(test, capture_output=True).returncode == 0


def damaged(
    change: Callable[[bytes], bytes], pattern: str = ""
) -> Callable[[Project, str], Outcome]:
    """A file that the stage reads is not what it was; by default one of its first input."""

    def do(project: Project, stage: str) -> Outcome:
        path = sorted(project.folder.glob(pattern or READ[stage]))[0]
        data = path.read_bytes()
        path.write_bytes(change(data))
        try:
            process = project.start(stage)
            return Outcome(finish(process), process.pid)
        finally:
            path.write_bytes(data)

    return do


def copy_damaged(project: Project, stage: str) -> Outcome:
    """A bit of DVC's copy of an output flips, and DVC brings it back: `face2anime verify` tells."""
    folder = project.folder
    command = " ".join(map(shlex.quote, project.command(stage)))
    outs = list(STAGES[stage][1])
    stages = {stage: {"cmd": command, "outs": outs}}
    (folder / "dvc.yaml").write_text(yaml_files.dumps({"stages": stages}), encoding="utf-8")
    try:
        for words in ("init -q --no-scm -f", f"repro -q {stage}"):
            done = finish(project.start_any([*DVC, *words.split()]))
            assert done.code == 0, done.printed
        listing = sorted((folder / ".dvc/cache").rglob("*.dir"))[0]
        entry = json.loads(listing.read_text(encoding="utf-8"))[-1]["md5"]
        copy = listing.parents[1] / entry[:2] / entry[2:]
        copy.chmod(0o644)
        data = bytearray(copy.read_bytes())
        data[len(data) // 2] ^= 1
        copy.write_bytes(data)
        copy.chmod(0o444)
        process = project.start_any([*FACE2ANIME, "verify"])
        ended = finish(process)
        told = [line for line in ended.printed.splitlines() if "DVC's copy of" in line]
        return Outcome(Ended(ended.code, "\n".join(told[:1])), process.pid)
    finally:
        for path in (".dvc", "dvc.yaml", "dvc.lock", ".dvcignore"):
            remove(folder / path)
        for path in outs:  # restored from there, perhaps
            remove(folder / path)


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def no_picture(data: bytes) -> bytes:
    """Every PNG within has a broken signature: the shard is whole, its pictures are not."""
    return data.replace(b"\x89PNG\r\n", b"\x00PNG\r\n")


def garbage(data: bytes) -> bytes:
    return b"no file of any kind " * 500


def state_cut(project: Project, stage: str) -> Outcome:
    """Killed after a state was saved, which is then cut short."""
    folder = project.folder / ".cache/train"
    process = project.start(stage)
    while process.poll() is None and not list(folder.glob("*.pt")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    for path in folder.glob("*.pt"):
        path.write_bytes(halved(path.read_bytes()))
    process = project.start(stage)
    return Outcome(finish(process), process.pid)


def drop_states(project: Project, stage: str) -> None:
    """What the line says to do."""
    for path in (project.folder / ".cache/train").glob("*.pt"):
        path.unlink()


def moved(project: Project, stage: str) -> Outcome:
    """Killed in one folder, gone on with in another."""
    process = project.start(stage)
    time.sleep(middle(project, stage))
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    elsewhere = project.folder.with_name("moved elsewhere")
    project.folder.rename(elsewhere)
    project.folder = elsewhere
    process = project.start(stage)
    return Outcome(finish(process), process.pid)


ALL = tuple(STAGES)
DATA = ("faces", "split")
READ = {"faces": "data/raw/*.parquet", "split": "data/anime/*.parquet"}  # first of all
DVC = [sys.executable, "-m", "dvc"]
FACE2ANIME = [sys.executable, "-c", "from pipeline.cli import main; main()"]
FAULTS = {
    "SIGKILL": Fault(signalled(signal.SIGKILL, False), ALL, "of the stage alone", silent=True),
    "SIGKILL of all": Fault(
        signalled(signal.SIGKILL, True), ALL, "of all its processes", silent=True
    ),
    "Ctrl-C": Fault(signalled(signal.SIGINT, True), ALL, "at a random moment", silent=True),
    "Ctrl-Z": Fault(stopped, ALL, "and `fg`, three seconds later"),
    "disk full": Fault(mounted(FULL), DATA, "8 kB are left", "disk is full.*free some of it"),
    "read-only": Fault(mounted(READ_ONLY), ALL, "the whole project", "read-only"),
    "shard cut": Fault(
        damaged(halved), DATA, "half of an input is there",
        r"parquet is damaged or cut off.*delete .*dvc repro",
    ),
    "shard of garbage": Fault(
        damaged(garbage), DATA, "an input is something else",
        r"data/.*parquet is damaged.*delete .*dvc repro",
    ),
    "broken pictures": Fault(
        damaged(no_picture), ("split",), "in a whole shard",
        r"image [0-9a-f]{64} in data/anime/.*no readable picture: delete .*verify",
    ),
    "state cut": Fault(
        state_cut, ("train",), "half of a training's state is there",
        "the training state .* is damaged: delete it", undo=drop_states,
    ),
    "MLflow's store of garbage": Fault(
        damaged(garbage, "mlflow.db"), ALL, "mlflow.db is something else",
        r"mlflow\.db cannot be used: .*move it away",
    ),
    "MLflow's store cut": Fault(
        damaged(halved, "mlflow.db"), ALL, "half of mlflow.db is there",
        r"mlflow\.db cannot be used: .*move it away",
    ),
    "DVC's copy damaged": Fault(
        copy_damaged, ("split",), "a bit of it flips; `face2anime verify` looks",
        r"DVC's copy of data/splits.* is damaged: delete it", verified=True,
    ),
    "a worker killed": Fault(
        child_killed("popen_loky_posix"), ("faces",), "as for memory", "lower compute.workers",
    ),
    "animeface killed": Fault(child_killed("animeface_process"), ("faces",), "as for memory"),
    "two at once": Fault(twice, ALL, "the second is refused", "being written by another run"),
    "folder moved": Fault(moved, ("split", "train"), "in the middle of a run"),
}  # fmt: skip
MOUNTS = {"disk full", "read-only"}


def check(project: Project, name: str, stage: str) -> str:
    """Do a fault to a stage, and hold it to what is promised; what it said in the end."""
    fault = FAULTS[name]
    project.prepare(stage)
    outcome = fault.do(project, stage)
    printed, line = outcome.ended.printed, outcome.ended.line
    assert left_behind(outcome.session) == [], f"processes live on\n{printed}"
    if not fault.silent:
        assert "Traceback" not in printed, printed
    if fault.says:
        assert outcome.ended.code == 1 and re.search(fault.says, line), printed
        assert fault.verified or line.startswith(f"{stage}: "), printed
    elif not fault.silent:
        assert outcome.ended.code == 0, printed
    found, expected = project.outputs(stage), project.expected[stage]
    wrong = [path for path in found if found[path] != expected.get(path)]
    assert not wrong, f"half-written: {wrong}"
    if fault.undo:
        fault.undo(project, stage)
    again = project.run(stage)
    assert again.code == 0, again.printed
    assert project.outputs(stage) == expected, "other bytes after another run"
    assert project.half_written() == []
    return line if fault.says else "" if fault.silent else "nothing: it ends as ever"


def unmountable(name: str) -> bool:
    """Whether a fault needs what this machine does not allow."""
    return name in MOUNTS and not can_mount()


def shown(line: str, folder: Path) -> str:
    """A line for the table: without this machine's paths and numbers."""
    line = re.sub(r" \(traceback: [^)]*\)", "", line.replace(str(folder), "…"))
    line = re.sub(r"process \d+, since [\d:]+", "process 1234, since 12:00:00", line)
    line = re.sub(r"[0-9a-f]{64}", "f3a9…", line)
    line = re.sub(r"files/md5/\w\w/\w+", "files/md5/f3/a9…", line)
    return re.sub(r"\d+ MB free at \S+", "0 MB free at …", line).replace("|", r"\|")

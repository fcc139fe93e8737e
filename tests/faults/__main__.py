"""`make faults`: every fault at every stage it can befall, kills at ROUNDS random moments.

Minutes to an hour. Prints what was found, and writes the table of docs/faults.md. With names of
faults after the number: these alone, and their rows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.faults import faults
from tests.faults.bench import Project, make_project
from tests.project import ROOT

PAGE = ROOT / "docs/faults.md"
BEGIN = "<!-- the table: make faults -->"
RANDOM = {"SIGKILL", "SIGKILL of all", "Ctrl-C", "Ctrl-Z"}


def main(rounds: int, names: list[str]) -> int:
    """Do these faults, or all; returns how many broke a promise. Each row is written when it is
    known, so that a run that is broken off was not for nothing."""
    known, broken = rows(), 0
    with tempfile.TemporaryDirectory() as scratch:
        project = Project(make_project(Path(scratch) / "a project"))
        for name in names or faults.FAULTS:
            fault = faults.FAULTS[name]
            lines: list[str] = []
            for stage in fault.stages:
                if stage not in project.expected:
                    project.learn(stage)
                lines += [one(project, name, stage) for _ in range(rounds if name in RANDOM else 1)]
            bad = [line for line in lines if line.startswith("BROKEN")]
            broken += len(bad)
            said = faults.shown(bad[0] if bad else lines[0], project.folder)
            done = f"{len(lines) - len(bad)} of {len(lines)}"
            known[name] = f"| {name} | {fault.told} | {', '.join(fault.stages)} | {done} | {said} |"
            write([known[each] for each in faults.FAULTS if each in known])
    return broken


def rows() -> dict[str, str]:
    """Name → row of the table that is there."""
    lines = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].splitlines()[3:]
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def one(project: Project, name: str, stage: str) -> str:
    """What a stage said to a fault; ``BROKEN``, and why, where a promise was."""
    if faults.unmountable(name):
        return "not tried: no mounting here"
    started = time.monotonic()
    try:
        said = faults.check(project, name, stage)
    except AssertionError as error:
        said = f"BROKEN: {' '.join(str(error).split())[:300]}"
    print(f"{time.monotonic() - started:6.1f} s  {stage}: {name}: {said}", flush=True)
    return said


def write(rows: list[str]) -> None:
    """Put the table into its page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    head = ["| fault | how | stages | kept | what the last line says |", "|---|---|---|---|---|"]
    PAGE.write_text("\n".join([f"{text}{BEGIN}\n", *head, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(1 if main(int((sys.argv[1:] or ["10"])[0]), sys.argv[2:]) else 0)

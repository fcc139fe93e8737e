"""An output has one writer at a time, and what a killed one left is cleaned by the next."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import locks, space, tables
from pipeline.core.errors import StageError
from tests.faults.faults import READ_ONLY, can_mount
from tests.project import ROOT, environment

HOLD = """
import sys
from pathlib import Path
from pipeline.core import tables
with tables.new_folder(Path("data/splits")) as out:
    (out / "half").write_text("x")
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def holder() -> subprocess.Popen[str]:
    """Another process that is writing data/splits."""
    env = environment(PYTHONPATH=str(ROOT))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=env,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_writer_is_told_who_writes_and_changes_nothing(here: Path) -> None:
    first = holder()
    with pytest.raises(StageError) as caught, tables.new_folder(Path("data/splits")):
        pass
    assert re.search(
        rf"data/splits is being written .*process {first.pid}, since", str(caught.value)
    )
    first.communicate("")
    assert first.returncode == 0 and names(here / "data/splits") == ["half"]
    assert names(here / "data") == ["splits"]
    with tables.new_folder(Path("data/splits")) as out:  # it is free again
        (out / "whole").touch()
    assert names(here / "data/splits") == ["whole"]


def test_a_killed_writer_holds_nothing_and_its_half_goes_with_the_next(here: Path) -> None:
    first = holder()
    first.kill()
    first.communicate()
    assert [name for name in names(here / "data") if name.startswith(".splits.")]
    with tables.new_folder(Path("data/splits")) as out:
        (out / "whole").touch()
    assert names(here / "data") == ["splits"] and names(here / "data/splits") == ["whole"]


def test_other_outputs_are_free(here: Path) -> None:
    with tables.new_folder(Path("data/faces")) as one, tables.new_folder(Path("data/x")) as other:
        assert one != other


def test_what_was_there_stays_when_writing_fails(here: Path) -> None:
    with tables.new_folder(Path("data/x")) as out:
        (out / "old").touch()
    with pytest.raises(OSError), tables.new_folder(Path("data/x")) as out:
        (out / "new").touch()
        raise OSError(28, os.strerror(28))
    assert names(here / "data/x") == ["old"] and names(here / "data") == ["x"]


STAGE = """
import sys
from pathlib import Path
sys.argv = ["/x/pipeline/split/__main__.py"]
from pipeline.core import stage
def main() -> None:
    print("in", flush=True)
    sys.stdin.read()
stage.run(main)
"""


def test_two_runs_of_one_stage_are_one_after_the_other(here: Path) -> None:
    Path("params.yaml").write_text("compute: {}\n")
    env = environment(PYTHONPATH=str(ROOT))
    command = [sys.executable, "-c", STAGE]
    pipe = subprocess.PIPE
    first = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)
    assert first.stdout is not None and first.stdout.readline() == "in\n"
    second = subprocess.run(command, capture_output=True, text=True, env=env, input="")
    assert second.returncode == 1 and second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert line.startswith("split: stage split is being written") and str(first.pid) in line
    first.communicate("")
    assert first.returncode == 0
    assert subprocess.run(command, input="", text=True, env=env, stdout=pipe).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no mounting in a namespace of this user")
def test_a_project_that_may_not_be_written_is_told_in_one_line(here: Path) -> None:
    Path("params.yaml").write_text("compute: {}\n")
    command = ["unshare", "-rm", "sh", "-c", f'{READ_ONLY} && exec "$@"', "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", STAGE], capture_output=True, text=True, input="",
        env=environment(PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == "" and line.startswith("split: ")
    assert "read-only file system: make it writable" in line and names(here) == ["params.yaml"]


def test_a_name_of_a_lock_is_no_path(here: Path) -> None:
    with locks.held("a/../../b", here):
        pass
    assert names(here) == [".cache"] and names(here / ".cache") == ["locks"]


LOCK = """
stages:
  split:
    cmd: python -m pipeline.split
    outs:
    - {path: data/splits, md5: a.dir, size: 7000000000000000}
    - {path: reports/x, md5: b.dir, size: 1}
"""


def test_room_is_asked_for_before_a_stage(here: Path) -> None:
    lock = here / "dvc.lock"
    space.check("split", lock, here)  # none is recorded
    lock.write_text(LOCK)
    assert space.needed("split", lock) == space.LEAST + 2 * 7000000000000001
    with pytest.raises(StageError, match="MB are free at .* split needs .*free some of it"):
        space.check("split", lock, here)
    space.check("faces", lock, here)

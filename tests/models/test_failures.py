"""Any error in one line that says what to do, whoever raised it, with its traceback in a log."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import pyarrow as pa
import pytest

from models import failures
from models.errors import ModelError
from tests.project import ROOT, environment


def os_error(number: int, name: str = "data/faces/faces-a-00000.parquet") -> OSError:
    return OSError(number, os.strerror(number), name)


def wrapped(error: Exception) -> RuntimeError:
    """As torch and MLflow raise: another error on the way of the first."""
    try:
        try:
            raise error
        except Exception:
            raise RuntimeError("[enforce fail at x.cc:603] . unexpected pos")  # noqa: B904
    except RuntimeError as outer:
        return outer


def sqlite_error(text: str) -> sqlite3.Error:
    return sqlite3.OperationalError(text)


NAMED = "data/faces/faces-a-00000.parquet"
CASES = {
    "full": (os_error(errno.ENOSPC), ["disk is full", NAMED, "free some of it", "MB free"]),
    "quota": (os_error(errno.EDQUOT), ["disk is full", NAMED]),
    "full, wrapped": (wrapped(os_error(errno.ENOSPC)), ["disk is full", NAMED]),
    "full, in Arrow's words": (
        pa.ArrowInvalid("Detail: No space left on device"),
        ["disk is full"],
    ),
    "full, a database": (sqlite_error("database or disk is full"), ["disk is full"]),
    "read-only": (os_error(errno.EROFS), [NAMED, "read-only", "writable"]),
    "no right": (os_error(errno.EACCES), [NAMED, "chmod"]),
    "missing": (os_error(errno.ENOENT), [NAMED, "is missing", "dvc repro"]),
    "a folder": (os_error(errno.EISDIR), [NAMED, "folder", "move it away"]),
    "a file for a folder": (os_error(errno.ENOTDIR), [NAMED, "move that file away"]),
    "many files": (os_error(errno.EMFILE), ["ulimit"]),
    "broken disk": (os_error(errno.EIO), [NAMED, "check the disk"]),
    "memory": (MemoryError(), ["memory is short", "compute.workers"]),
    "memory, OpenCV": (cv2.error("Insufficient memory"), ["memory is short", "compute.workers"]),
    "memory, torch": (RuntimeError("DefaultCPUAllocator: can't allocate memory"), ["batch_size"]),
    "worker": (BrokenProcessPool("x"), ["worker process was killed", "lower compute.workers"]),
    "database damaged": (sqlite_error("file is not a database"), ["damaged", "move"]),
    "database in use": (sqlite_error("database is locked"), ["in use"]),
    "database read-only": (
        sqlite_error("attempt to write a readonly database"),
        ["may not be written"],
    ),
    "package": (ImportError("libGL.so.1: cannot open"), ["make install", "libGL"]),
    "a group": (ExceptionGroup("two", [ValueError("x"), os_error(errno.ENOSPC)]), ["disk is full"]),
    "unthought of": (KeyError("sha"), ["KeyError", "sha", "error of this program"]),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_says_what_to_do(name: str) -> None:
    error, told = CASES[name]
    line = failures.one_line_of(error)
    assert "\n" not in line and [part for part in told if part not in line] == []


def test_what_is_no_fault_of_a_file_is_told_apart() -> None:
    """To move it away would help nobody."""
    ours = {name for name, (error, _) in CASES.items() if failures.of_its_place(error)}
    full = {name for name in CASES if name.startswith(("full", "quota")) or name == "a group"}
    assert ours == full | {"database in use", "database read-only"}


@pytest.mark.parametrize("name", CASES)
def test_a_command_ends_in_that_line_and_names_its_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("")
    error, told = CASES[name]
    with pytest.raises(SystemExit) as ended, failures.one_line("faces", ModelError):
        raise error
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("faces: ") and told[0] in line
    (log,) = Path(".cache/errors").iterdir()
    assert str(log) in line and "Traceback" in log.read_text()


def test_our_own_errors_need_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit), failures.one_line("train", ModelError):
        raise ModelError("do\nthis")
    assert capsys.readouterr().err == "train: do this\n" and not list(tmp_path.iterdir())


def test_secrets_are_in_neither_line_nor_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("")
    with pytest.raises(SystemExit), failures.one_line("x", hide=lambda t: t.replace("key9", "*")):
        raise ValueError("of key9")
    (log,) = Path(".cache/errors").iterdir()
    assert "key9" not in capsys.readouterr().err + log.read_text()


def test_logs_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("")
    for number in range(failures.KEPT_LOGS + 5):
        failures.keep(ValueError(str(number)), f"c{number}")
    assert len(list(Path(".cache/errors").iterdir())) == failures.KEPT_LOGS + 1


def test_whoever_stops_reading_is_told_nothing() -> None:
    script = (
        "from models.failures import one_line\nwith one_line('x'):\n    while True: print('line')\n"
    )
    command = f'{sys.executable} -c "{script}" | head -1'
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("line\n", "")

"""Whatever goes wrong, in one line: what failed, on which file, what to do; the traceback in a log.

Packages have errors of their own for what a user did; these say what to do already. This is for all
others: a full disk, a file that may not be read, a worker that the kernel killed, and what nobody
thought of.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_LOGS = 20
MOST = 300  # characters of a foreign error's own words
# By the name of the class: none of these packages is imported for it.
KILLED = {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker"}
MEMORY = {"MemoryError", "OutOfMemoryError", "ArrowMemoryError", "_ArrayMemoryError"}
_FULL = ("no space left on device", "disk is full", "disk quota exceeded")
_NO_MEMORY = ("insufficient memory", "can't allocate memory", "out of memory")
_DAMAGED_STORE = ("file is not a database", "disk image is malformed")
_LOCKED = ("database is locked",)
_READ_ONLY = ("readonly database",)

Hide = Callable[[str], str]


def one_line_of(error: BaseException) -> str:
    """What failed, on which file, and what to do, without a line break."""
    chain = list(causes(error))
    for find in (_disk, _memory, _worker, _database, _file, _import):
        for each in chain:
            if told := find(each):
                return told
    return f"{_words(error)}: an error of this program"


def of_its_place(error: BaseException) -> str:
    """As `one_line_of` where a file is whole and its place is the trouble: a full disk, another
    process, a right that lacks. Empty elsewhere."""
    told = (_disk(each) or _in_use(each) for each in causes(error))
    return next(filter(None, told), "")


def causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, what it was raised from or on the way of, and the members of groups; each once."""
    todo, seen = [error], set[int]()
    while todo:
        each = todo.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        further = [each.__cause__, each.__context__, getattr(each, "orig", None)]
        further += getattr(each, "exceptions", ())
        todo += [other for other in further if isinstance(other, BaseException)]


@contextmanager
def one_line(command: str, *ours: type[Exception], hide: Hide = str) -> Iterator[None]:
    """What is raised within ends the process with ``COMMAND: what to do`` and exit 1.

    Args:
        command: what the line begins with.
        ours: errors whose text is such a line already. Of any other the line says where its
            traceback lies.
        hide: takes secrets out of a text.
    """
    try:
        yield
    except ours as error:
        _end(command, hide(" ".join(str(error).split())))
    except BrokenPipeError:
        _quiet_end()
    except Exception as error:
        told, log = one_line_of(error), keep(error, command, hide)
        where = f" (traceback: {log})" if log else ""
        _end(command, hide(" ".join(told.split())) + where)


def keep(error: BaseException, command: str, hide: Hide = str) -> Path | None:
    """Write the traceback to a file; None where no folder takes one."""
    text = hide("".join(traceback.format_exception(error)))
    name = f"{re.sub(r'[^A-Za-z0-9_-]+', '_', command)}-{time.strftime('%Y%m%d-%H%M%S')}"
    for folder in _log_folders():
        path = folder / f"{name}-{os.getpid()}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make_room(folder)
            path.write_text(text, encoding="utf-8")
            return path
        except OSError:  # full or read-only, perhaps the very reason why we are here
            _discard(path)
    return None


def _log_folders() -> list[Path]:
    """In a project beside the other state of this machine; elsewhere, or else, a temporary one."""
    here = [Path(".cache/errors")] if Path("params.yaml").is_file() else []
    return [*here, Path(tempfile.gettempdir()) / "face2anime-errors"]


def _make_room(folder: Path) -> None:
    for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _end(command: str, line: str) -> None:
    print(f"{command}: {line}", file=sys.stderr)
    sys.exit(1)


def _quiet_end() -> None:
    """Whoever read our output has gone, as `head` does: nobody is left to be told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(1)


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())


def _words(error: BaseException) -> str:
    """A foreign error in its own words."""
    text = _text(error)
    return f"{type(error).__name__}: {text[:MOST]}" if text else type(error).__name__


def _says(error: BaseException, marks: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(mark in text for mark in marks)


def _path(error: BaseException) -> str:
    """The file that an error names; empty when it names none."""
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        return os.fsdecode(name)
    if isinstance(name, str):
        return name
    quoted = re.search(r"'(/[^']+|[\w.-]+/[^']+)'", str(error))  # of Arrow and torch
    return quoted[1] if quoted else ""


def _disk(error: BaseException) -> str:
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if not full and not _says(error, _FULL):
        return ""
    path = _path(error)
    return (
        f"the disk is full{f', at {path}' if path else ''}{_free(path)}: free some of it and run "
        "it again; what was complete is kept"
    )


def _free(path: str) -> str:
    if not path:
        return ""
    folder = Path(path).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB free at {folder})"
    except OSError:
        return ""


def _memory(error: BaseException) -> str:
    if type(error).__name__ not in MEMORY and not (
        isinstance(error, RuntimeError | OSError) or type(error).__module__.startswith("cv2")
    ):
        return ""
    known = type(error).__name__ in MEMORY or getattr(error, "errno", None) == errno.ENOMEM
    if not known and not _says(error, _NO_MEMORY):
        return ""
    return (
        f"memory is short ({_words(error)}): lower compute.workers, or of a training batch_size, "
        "or raise train.accumulate"
    )


def _worker(error: BaseException) -> str:
    if type(error).__name__ not in KILLED:
        return ""
    return "a worker process was killed, often for memory: lower compute.workers"


def _database(error: BaseException) -> str:
    if _says(error, _DAMAGED_STORE):
        return f"a database is damaged ({_words(error)}): move that file away for a new one"
    return _in_use(error)


def _in_use(error: BaseException) -> str:
    if _says(error, _LOCKED):
        return f"a database is in use by another process ({_words(error)}): wait for its end"
    if _says(error, _READ_ONLY):
        return f"a file may not be written ({_words(error)}): make it writable (chmod u+w)"
    return ""


_REMEDIES = {
    errno.EROFS: ("lies on a read-only file system", "make it writable, or work on another disk"),
    errno.EACCES: ("may not be read or written", "give yourself the right to (chmod, chown)"),
    errno.EPERM: ("may not be changed", "give yourself the right to (chmod, chown)"),
    errno.ENOENT: ("is missing", "`dvc repro` makes what stages make, `dvc pull` fetches it"),
    errno.EISDIR: ("is a folder where a file belongs", "move it away"),
    errno.ENOTDIR: ("lies below a file where a folder belongs", "move that file away"),
    errno.EEXIST: ("is there already", "move it away"),
    errno.ENOTEMPTY: ("is not empty", "look whether another process writes there"),
    errno.EMFILE: ("cannot be opened, too many files are", "ulimit -n 4096, or fewer workers"),
    errno.EIO: ("cannot be read or written by the disk", "check the disk; copy what can be read"),
    errno.ENAMETOOLONG: ("has too long a name", "work in a folder with a shorter path"),
}


def _file(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    if not isinstance(error, OSError) or number not in _REMEDIES:
        return ""
    what, remedy = _REMEDIES[number]
    path = _path(error)
    return f"{path or 'a file'} {what}{'' if path else f' ({_words(error)})'}: {remedy}"


def _import(error: BaseException) -> str:
    if not isinstance(error, ImportError):
        return ""
    return f"a package is missing or does not load ({_text(error)[:MOST]}): make install"

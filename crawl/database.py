"""The SQLite table of a crawl's outcomes: opened, or begun anew where it is damaged.

It only saves asking again. So damage costs time, and stops no crawl.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

COLUMNS = ("url", "md5", "outcome", "reason", "sha256", "limits", "pack", "start", "size")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    url TEXT, md5 TEXT, outcome TEXT, reason TEXT, sha256 TEXT, limits TEXT,
    pack INTEGER, start INTEGER, size INTEGER,
    PRIMARY KEY (md5, url)
) WITHOUT ROWID
"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


class _DamagedError(Exception):
    """The file is no such database, or a part of it cannot be read."""


def open_database(path: Path) -> sqlite3.Connection:
    """The database at ``path``, which only one process uses.

    What is damaged, of another kind or a folder is moved aside, which a line on stderr tells, and
    an empty one takes its place. Raises sqlite3.Error and OSError for what is not the file's fault.
    """
    try:
        return _opened(path)
    except _DamagedError as error:
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        path.rename(aside)
        for left in ("-wal", "-shm"):
            path.with_name(f"{path.name}{left}").unlink(missing_ok=True)
        print(
            f"{path} is damaged ({error}): moved to {aside.name} and begun anew; what it knew is "
            "asked for again",
            file=sys.stderr,
        )
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise _DamagedError("a folder")
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("PRAGMA wal_autocheckpoint=10000")  # pages; each waits for the disk
        database.execute(_SCHEMA)
        database.execute(f"SELECT {', '.join(COLUMNS)} FROM outcomes LIMIT 1").fetchone()
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        database.close()
        # Others, such as a full disk or a file that may not be written, would befall a new one too.
        if (error.sqlite_errorcode or 0) & 0xFF not in _DAMAGE:
            raise
        raise _DamagedError(str(error)) from None
    if found != "ok":
        database.close()
        raise _DamagedError(found)
    return database

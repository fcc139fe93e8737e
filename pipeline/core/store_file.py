"""The SQLite file of the local store: its URL, and artifacts that follow it.

MLflow writes into the database where artifacts lie, as absolute addresses. A project that is moved
or copied would show no picture, and put new ones where the old folder was.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.core.errors import StageError

SQLITE = "sqlite:///"
MEANING = set("%?#")  # within a URL
ARTIFACTS = "mlruns"
# Where artifacts are told; the first is where those of new runs will lie.
COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def uri(path: Path) -> str:
    """The URL of an SQLite file, as MLflow and SQLAlchemy read it.

    Some of their versions quote a path and some do not, and MLflow makes the parent folder of the
    text as it stands. So a path with characters that mean something in a URL is told from the
    working directory. Raises StageError where that has such characters, too.
    """
    text = str(path)
    if MEANING & set(text):
        text = os.path.relpath(path)
    if MEANING & set(text):
        raise StageError(f"{path}: MLflow opens no database in a folder with %, ? or # in its name")
    return f"{SQLITE}{text}"


def follow(database: Path, artifacts: Path) -> None:
    """Where the store was made in another folder, have it find its artifacts in this one.

    What did not come along is still looked for where it was. An experiment whose artifacts a user
    keeps elsewhere, or on a server, is left alone.
    """
    if not database.is_file():
        return
    here = artifacts.as_uri()
    with closing(sqlite3.connect(database, timeout=20)) as opened:
        try:
            located = opened.execute(
                "SELECT DISTINCT artifact_location FROM experiments"
            ).fetchall()
        except sqlite3.DatabaseError:  # none of MLflow's, or broken: who opens it tells
            return
        for (old,) in set(located):
            if old and old != here and old.startswith("file:") and old.endswith(f"/{ARTIFACTS}"):
                _rewrite(opened, old, here)
        opened.commit()


def _rewrite(opened: sqlite3.Connection, old: str, new: str) -> None:
    for table, columns in COLUMNS.items():
        known = {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}
        for column in known.intersection(columns):
            rows = opened.execute(
                f"SELECT rowid, {column} FROM {table} "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (old, len(old) + 1, f"{old}/"),
            ).fetchall()
            moved = [
                (new + text.removeprefix(old), row)
                for row, text in rows
                if text == old or _came(text, new + text.removeprefix(old))
            ]
            opened.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", moved)


def _came(old: str, new: str) -> bool:
    """Whether artifacts are looked for in the new place: not where the old one alone has them."""
    return _path(new).exists() or not _path(old).exists()


def _path(address: str) -> Path:
    return Path(url2pathname(urlsplit(address).path))

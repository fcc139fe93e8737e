"""What a crawl remembers between runs, so that it never asks twice for what it has.

A small SQLite table of outcomes and, beside it, the bytes of each image in a file named by their
sha256. A blob grows as a part, and is moved before its row is committed, so whatever moment the
process is killed at, a row speaks of a whole blob and only transfers under way are cut.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from crawl.errors import CrawlError
from crawl.fetch import Fetched, judge
from crawl.outcomes import Outcome
from crawl.parts import Part, part_path
from crawl.posts import Post
from crawl.settings import CrawlSettings

# Facts about the image: remembered for good.
_FACTS = (Outcome.OK, Outcome.GONE, Outcome.TOO_LARGE)
# May be mended on the site (a login page in place of the image, an image replaced): asked again
# by the next crawl, but not by the continuation of one that was cut short.
_THIS_CRAWL = (Outcome.NOT_AN_IMAGE, Outcome.CHECKSUM_MISMATCH)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
    url TEXT, md5 TEXT, outcome TEXT, reason TEXT, sha256 TEXT, limits TEXT,
    PRIMARY KEY (url, md5)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images ON outcomes (md5) WHERE outcome = 'ok' AND md5 != '';
"""


class State:
    """The memory of a crawl in ``folder``; a context manager, to be shared by threads.

    Raises CrawlError when another crawl is using ``folder``.
    """

    def __init__(self, folder: Path, settings: CrawlSettings) -> None:
        self._settings = settings
        self._limits = f"{settings.max_bytes} {settings.max_pixels}"
        self._blobs, self._parts = folder / "blobs", folder / "parts"
        for path in (self._blobs, self._parts):
            path.mkdir(parents=True, exist_ok=True)
        self._file_lock = FileLock(folder / "lock")
        try:
            self._file_lock.acquire(blocking=False)
        except Timeout:
            raise CrawlError(
                f"another crawl is using {folder}: wait for it to end, or stop it"
            ) from None
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            folder / "state.sqlite", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> State:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._db.close()
        self._file_lock.release()

    def recall(self, post: Post) -> Fetched | None:
        """What is known of ``post``, or None when it has to be asked for.

        A stored image is judged again, as the limits or the md5 may have changed since. An image
        with the md5 that ``post`` states is known, whichever site it came from.
        """
        row = self._row("url = ? AND md5 = ?", post.url, post.md5)
        if row is None and post.md5:
            row = self._row("md5 = ? AND md5 != '' AND outcome = 'ok'", post.md5)
        if row is None:
            return None
        outcome, reason, sha256, limits = row
        if outcome == Outcome.OK:
            data = self.blob(sha256)
            return None if data is None else judge(data, post, self._settings)
        if outcome == Outcome.TOO_LARGE and limits != self._limits:
            return None
        return Fetched(Outcome(outcome), reason)

    def part(self, post: Post) -> Part:
        """What an earlier run has of the bytes of ``post``, perhaps nothing yet."""
        return Part(part_path(self._parts, post.url, post.md5))

    def record(self, post: Post, fetched: Fetched, part: Part) -> None:
        """Remembers what came of ``post``, unless the very next run should try again. ``part``,
        when the image is whole and right, becomes its stored bytes.
        """
        if fetched.outcome not in _FACTS + _THIS_CRAWL:
            return  # the part stays: the next run goes on with it
        if fetched.outcome is Outcome.OK:
            part.move(self._blob_path(fetched.sha256))
        else:
            part.discard()
        row = (post.url, post.md5, fetched.outcome, fetched.reason, fetched.sha256, self._limits)
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", row)

    def blob(self, sha256: str) -> bytes | None:
        """The stored bytes with this hash, or None when they are missing or damaged."""
        try:
            data = self._blob_path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def finish(self) -> None:
        """Every post has had its turn: the next crawl may try again what could be mended."""
        marks = ", ".join("?" * len(_THIS_CRAWL))
        with self._lock:
            self._db.execute(f"DELETE FROM outcomes WHERE outcome IN ({marks})", _THIS_CRAWL)
        for left_over in self._parts.iterdir():
            left_over.unlink()

    def _row(self, where: str, *values: str) -> tuple[str, str, str, str] | None:
        query = f"SELECT outcome, reason, sha256, limits FROM outcomes WHERE {where}"
        with self._lock:
            row: tuple[str, str, str, str] | None = self._db.execute(query, values).fetchone()
        return row

    def _blob_path(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256

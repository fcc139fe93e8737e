"""What a crawl remembers between runs, so that it never asks twice for what it has.

A small SQLite table of outcomes, and beside it packs: files to which the bytes of one image after
the other are appended. An image is in its pack before its row is committed, so whatever moment the
process is killed at, a row speaks of whole bytes and only transfers under way are cut. (A file an
image would be ten times slower.)
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from crawl.database import open_database
from crawl.errors import CrawlError
from crawl.fetch import Fetched, examine
from crawl.outcomes import Outcome
from crawl.parts import Part, part_name, write_whole
from crawl.posts import Post
from crawl.settings import CrawlSettings

# Facts about the image: remembered for good.
_FACTS = (Outcome.OK, Outcome.GONE, Outcome.TOO_LARGE)
# May be mended on the site (a login page in place of the image, an image replaced): asked again
# by the next crawl, but not by the continuation of one that was cut short.
_THIS_CRAWL = (Outcome.NOT_AN_IMAGE, Outcome.CHECKSUM_MISMATCH)

_PACK_BYTES = 256_000_000  # a pack that has more is closed and the next one begun


class State:
    """The memory of a crawl in ``folder``; a context manager.

    Raises CrawlError when another crawl is using ``folder``.
    """

    def __init__(self, folder: Path, settings: CrawlSettings) -> None:
        self._settings = settings
        self._limits = f"{settings.max_bytes} {settings.max_pixels}"
        self._packs, self._parts = folder / "packs", folder / "parts"
        for path in (self._packs, self._parts):
            path.mkdir(parents=True, exist_ok=True)
        self._file_lock = FileLock(folder / "lock")
        try:
            self._file_lock.acquire(blocking=False)
        except Timeout:
            raise CrawlError(
                f"another crawl is using {folder}: wait for it to end, or stop it"
            ) from None
        self._db = open_database(folder / "crawl.sqlite")
        self._left_over = {path.name for path in self._parts.iterdir()}
        # Hashes of what may be found, to ask the database for nothing else.
        self._known: set[int] = set()
        for url, md5 in self._db.execute("SELECT url, md5 FROM outcomes"):
            self._learn(url, md5)
        self._number = max((int(path.stem) for path in self._packs.glob("*.pack")), default=0)
        self._pack = self._open_pack()

    def __enter__(self) -> State:
        return self

    def __exit__(self, *exc: object) -> None:
        self._db.close()
        self._pack.close()
        self._file_lock.release()

    def recall(self, post: Post) -> Fetched | None:
        """What is known of ``post``, or None when it has to be asked for.

        A stored image is examined again, as the limits or the md5 may have changed since. An image
        with the md5 that ``post`` states is known, whichever site it came from.
        """
        row = None
        if hash((post.url, post.md5)) in self._known:
            row = self._row("md5 = ? AND url = ?", post.md5, post.url)
        if row is None and hash(post.md5) in self._known:
            row = self._row("md5 = ? AND outcome = 'ok'", post.md5)
        if row is None:
            return None
        outcome, reason, sha256, limits, pack, start, size = row
        if outcome == Outcome.OK:
            data = self._read(pack, start, size)
            intact = hashlib.sha256(data).hexdigest() == sha256
            return examine(data, post, self._settings) if intact else None
        if outcome == Outcome.TOO_LARGE and limits != self._limits:
            return None
        return Fetched(Outcome(outcome), reason)

    def part(self, post: Post) -> Part:
        """What an earlier run has of the bytes of ``post``, perhaps nothing yet."""
        name = part_name(post.url, post.md5)
        return Part(self._parts, name, resume=name in self._left_over)

    def record(self, post: Post, fetched: Fetched, part: Part) -> None:
        """Remembers what came of ``post``, unless the very next run should try again."""
        if fetched.outcome not in _FACTS + _THIS_CRAWL:
            return  # the part stays: the next run goes on with it
        place = (None, None, None) if fetched.data is None else self._store(fetched.data)
        known = (fetched.outcome, fetched.reason, fetched.sha256, self._limits)
        self._db.execute(
            "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (post.url, post.md5, *known, *place),
        )
        self._learn(post.url, post.md5)
        part.discard()

    def finish(self) -> None:
        """Every post has had its turn: the next crawl may try again what could be mended."""
        marks = ", ".join("?" * len(_THIS_CRAWL))
        self._db.execute(f"DELETE FROM outcomes WHERE outcome IN ({marks})", _THIS_CRAWL)
        for left_over in self._parts.iterdir():
            left_over.unlink()

    def _learn(self, url: str, md5: str) -> None:
        self._known.add(hash((url, md5)))
        if md5:
            self._known.add(hash(md5))

    def _row(self, where: str, *values: str) -> tuple | None:
        columns = "outcome, reason, sha256, limits, pack, start, size"
        row: tuple | None = self._db.execute(
            f"SELECT {columns} FROM outcomes WHERE {where}", values
        ).fetchone()
        return row

    def _store(self, data: bytes) -> tuple[int, int, int]:
        """Appends ``data``; returns (pack, start, size)."""
        if self._pack.tell() > _PACK_BYTES:
            self._pack.close()
            self._number += 1
            self._pack = self._open_pack()
        start = self._pack.tell()
        write_whole(self._pack, data)
        return self._number, start, len(data)

    def _open_pack(self) -> IO[bytes]:
        return self._pack_path(self._number).open("ab", buffering=0)

    def _read(self, pack: int, start: int, size: int) -> bytes:
        try:
            with self._pack_path(pack).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except FileNotFoundError:
            return b""

    def _pack_path(self, number: int) -> Path:
        return self._packs / f"{number:06d}.pack"

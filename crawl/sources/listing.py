"""What a source lists: page by page, each entry a post or what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crawl.errors import CrawlError, SourceError
from crawl.outcomes import grouped
from crawl.posts import Post

UNREADABLE = "dropped_unreadable"  # the verdict on what is `Unfit`


@dataclass(frozen=True)
class Unfit:
    """An entry of a listing that no post can be read from. ``page``: where it stands."""

    page: str
    reason: str
    verdict: str = UNREADABLE


Entry = Post | Unfit
_ENTRIES = TypeAdapter(list[Entry])


@dataclass(frozen=True)
class ListedPage:
    """One page of a listing.

    ``entries`` may ask for more, one by one. ``after`` is where the listing goes on, something that
    JSON can hold; None: nowhere. ``note``: what a person should know of it.
    """

    url: str
    entries: Iterable[Entry]
    after: Any = None
    note: str = ""


@dataclass
class Listing:
    """What came of asking one source. ``stopped``: why it broke off; None when it did not."""

    source: str
    posts: list[Post] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=lambda: Counter(listed=0))
    unfit: list[Unfit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what a person should know, a line each
    stopped: SourceError | None = None

    def note(self, page: str, text: str) -> None:
        """Adds a line for a person, unless the source has said the same of another page."""
        if text and not any(line.endswith(text) for line in self.notes):
            self.notes.append(f"source '{self.source}', {page}: {text}")

    def remarks(self) -> Iterator[str]:
        """Lines for a person: notes, and why entries could not be read, the same reasons once."""
        yield from self.notes
        for times, reason in grouped(entry.reason for entry in self.unfit):
            posts = "1 entry" if times == 1 else f"{times:,} entries"
            yield f"source '{self.source}': {posts} left out, {reason}"


class IncompleteError(SourceError):
    """Sources broke off; what all of them listed is kept.

    Args:
        listings: of the sources that broke off.
        posts: the table of all posts that were listed, of every source.
        counts: as ``discover`` returns them.
    """

    def __init__(self, listings: list[Listing], posts: Any, counts: dict[str, int]) -> None:
        told = "; ".join(
            f"{listing.stopped}; {len(listing.posts):,} posts of it were listed before and are kept"
            for listing in listings
        )
        CrawlError.__init__(
            self,
            f"{told}: run again to go on from there, or say partial: true for a source of which "
            "these are enough",
        )
        self.posts, self.counts = posts, counts


class Memory:
    """The pages of one source's listing that were read to their end, so that a listing which broke
    off, or was killed, goes on from there.

    Args:
        folder: where the file is; None: nothing is remembered.
        name: of the source.
        declaration: all that decides what is listed; another one is another listing.
    """

    def __init__(self, folder: Path | None, name: str, declaration: str) -> None:
        digest = sha256(declaration.encode(errors="surrogatepass")).hexdigest()[:16]
        self._path = folder / f"{name}-{digest}.jsonl" if folder else None
        self.pages: list[ListedPage] = []
        self._size = 0  # bytes of the whole lines
        if self._path and self._path.is_file():
            self._load(self._path.read_bytes())

    @property
    def done(self) -> bool:
        """Whether the listing was read to its end."""
        return bool(self.pages) and self.pages[-1].after is None

    @property
    def after(self) -> Any:
        """Where the listing goes on; None: at its beginning."""
        return self.pages[-1].after if self.pages else None

    def add(self, page: ListedPage) -> None:
        """Remembers a page all of whose entries were read."""
        if not self._path:
            return
        entries = _ENTRIES.dump_python(list(page.entries), mode="json")
        line = json.dumps({"url": page.url, "after": page.after, "entries": entries}) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.truncate(self._size)  # half a line of a run that was killed
            self._size += file.write(line.encode())

    def forget(self) -> None:
        """The listing is complete and stored elsewhere."""
        if self._path:
            self._path.unlink(missing_ok=True)

    def _load(self, data: bytes) -> None:
        """The whole lines that are pages; what follows something else is asked for again."""
        for line in data.splitlines(keepends=True):
            with suppress(ValueError, KeyError, TypeError, RecursionError, ValidationError):
                value = json.loads(line)
                entries = _ENTRIES.validate_python(value["entries"])
                if line.endswith(b"\n"):
                    self.pages.append(ListedPage(str(value["url"]), entries, value["after"]))
                    self._size += len(line)
                    continue
            break

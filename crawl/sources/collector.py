"""Which entries of a listing are taken, and when a listing that does not end is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from crawl.errors import SourceError
from crawl.posts import Post
from crawl.sources.listing import UNREADABLE, Entry, ListedPage, Listing, Unfit

BATCH = 100  # posts of one source that share a shard; with limits that are multiples of it, a
# larger limit adds shards and changes none
_STALE = 3  # pages in a row with nothing new: the listing repeats itself
_BARREN = 100  # pages in a row with nothing to take: what is asked for does not come
_MOST_PAGES = 100_000  # a day and more at one a second
_MOST_UNFIT = 100  # entries in a row that cannot be read: the site has another format now


class Asked(Protocol):
    """What is to be known of a source here."""

    @property
    def name(self) -> str:
        """Of the source."""

    @property
    def limit(self) -> int | None:
        """Most posts to take."""

    def identity(self, post: Post) -> str:
        """Two posts with one identity are one post."""

    def verdict(self, post: Post) -> str:
        """``listed``, or why ``post`` is not. Raises ValueError when that cannot be told."""


class Collector:
    """Takes the entries of one source's pages, in order, until there are enough.

    Args:
        source: whose pages they are.
        excluded: the verdict on a post that is not wanted, empty for all others.
    """

    def __init__(self, source: Asked, excluded: Callable[[Post], str]) -> None:
        self.listing = Listing(source.name)
        self._source = source
        self._excluded = excluded
        self._seen: set[str] = set()
        self._names: set[str] = set()  # post ids that are taken
        self._places = 0  # of the listed and the excluded
        self._read = 0  # entries that are posts
        self._unfit_in_a_row = 0
        self._pages = self._stale = self._barren = 0

    @property
    def full(self) -> bool:
        """Whether there are as many posts as are wanted."""
        return self._places == self._source.limit

    def take(self, page: ListedPage) -> ListedPage:
        """Takes the entries of ``page``; returns it with those that were read. Raises SourceError
        when none can be read any more.
        """
        entries: list[Entry] = []
        before, repeated = self._places, self.listing.verdicts["repeated"]
        for entry in page.entries:
            entries.append(entry)
            self._take(page.url, entry)
            if self.full:
                break
        self.listing.note(page.url, page.note)
        self._pages += 1
        self._barren = 0 if self._places > before else self._barren + 1
        repeated = self.listing.verdicts["repeated"] - repeated
        self._stale = self._stale + 1 if entries and repeated == len(entries) else 0
        return ListedPage(page.url, entries, None if self.full else page.after)

    def ends(self, page: str) -> bool:
        """Whether no further page is to be asked for after ``page``. Raises SourceError when the
        listing would go on for ever.
        """
        if self.full:
            return True
        if self._stale >= _STALE:
            again = f"{_STALE} pages in a row repeat what was listed before"
            self.listing.note(page, f"{again}: taken for the end")
            return True
        name = self._source.name
        if self._barren >= _BARREN:
            dropped = {verdict: n for verdict, n in self.listing.verdicts.items() if n}
            reason = f"{_BARREN} pages in a row give no post to list (so far {dropped})"
            raise SourceError(name, page, f"{reason}: ask for others, or set another limit")
        if self._pages >= _MOST_PAGES:
            raise SourceError(name, page, f"more than {_MOST_PAGES:,} pages: set 'limit'")
        return False

    def check(self) -> None:
        """Raises SourceError when there were entries and none of them could be read: the site is
        not what its declaration takes it for.
        """
        if self.listing.unfit and not self._read:
            self._refuse(self.listing.unfit[0])

    def _take(self, page: str, entry: Entry) -> None:
        if isinstance(entry, Post):
            try:
                self._judge(entry)
            except ValueError as error:
                entry = Unfit(page, str(error))
            else:
                self._read += 1
                self._unfit_in_a_row = 0
                return
        self.listing.verdicts[entry.verdict] += 1
        self.listing.unfit.append(entry)
        self._unfit_in_a_row += entry.verdict == UNREADABLE
        if self._unfit_in_a_row >= _MOST_UNFIT:
            self._refuse(entry)

    def _judge(self, post: Post) -> None:
        identity = self._source.identity(post)
        repeated = bool(identity) and identity in self._seen
        verdict = "repeated" if repeated else self._source.verdict(post)
        self._seen.add(identity)
        if verdict == "listed":
            if post.post_id in self._names:  # one name for several: the address tells them apart
                post = replace(post, post_id=post.url.partition("://")[2])
            self._names.add(post.post_id)
            batch, self._places = self._places // BATCH, self._places + 1
            verdict = self._excluded(post) or verdict
            if verdict == "listed":
                self.listing.posts.append(replace(post, batch=batch))
        self.listing.verdicts[verdict] += 1

    def _refuse(self, entry: Unfit) -> None:
        raise SourceError(self._source.name, entry.page, entry.reason)

"""The crawl: from the table of posts to one result a post, in the order of the table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from crawl.archives.reader import SCHEME, ArchiveReader
from crawl.errors import CrawlError
from crawl.fetch import Fetched, fetch, fetch_archived
from crawl.lanes import Lane, Work
from crawl.outcomes import SUCCESS, Outcome, grouped
from crawl.posts import Post, iterate_posts
from crawl.settings import CrawlSettings
from crawl.state import State
from crawl.web.session import Session
from crawl.web.urls import web_host

_HOST = f"^({SCHEME}|https?://[^/?#]*)"
_MAX_LANES = 64  # a gallery may link to hundreds of hosts; each lane has its own threads
_AHEAD_WEB = 1000  # posts
_AHEAD_ARCHIVE = 16  # posts; their bytes wait in memory
_MEMORY = 64_000_000  # bytes of images that wait there for their turn; the others wait on disk


@dataclass(frozen=True)
class Result:
    """What became of one post: as Fetched. ``data``, the original bytes, only when it is ok."""

    post: Post
    outcome: Outcome
    reason: str  # empty when ok
    data: bytes | None
    sha256: str  # hex; this and the next empty unless ok or duplicate_bytes
    md5: str  # hex
    width: int | None  # pixels, from the header
    height: int | None


def crawl(
    posts: pd.DataFrame,
    settings: CrawlSettings,
    state_dir: Path,
    session: Session,
    page_of: Callable[[Post], str] = lambda post: "",
) -> Generator[Result, None, None]:
    """Downloads ``posts`` (see ``posts_frame``) and yields one Result a post, in their order.

    ``state_dir`` remembers what is complete: killed and started again, the crawl goes on. The
    results do not depend on the number of threads, on timing or on how often it was killed.
    ``page_of`` knows the page that shows a post (see ``crawl.sources.referrers``).

    Raises CrawlError when another crawl uses ``state_dir``, before anything is asked when a host
    may be public and ``contact`` is empty, and at the end when more than ``max_failure_fraction``
    of the posts failed.
    """
    tally = _Tally()
    with (
        State(state_dir, settings) as state,
        # Closed before the state is, also when the reader stops early: its work uses the state.
        closing(_in_order(posts, settings, state, session, page_of)) as results,
    ):
        bar = tqdm(
            _mark_duplicates(results),
            desc="crawl",
            total=len(posts),
            unit="image",
            mininterval=0.1 if sys.stderr.isatty() else 60,  # seconds; a log gets a line a minute
        )
        for result in bar:
            tally.add(result)
            yield result
        state.finish()
    tally.check(settings.max_failure_fraction)


def _in_order(
    posts: pd.DataFrame,
    settings: CrawlSettings,
    state: State,
    session: Session,
    page_of: Callable[[Post], str],
) -> Generator[Result, None, None]:
    """Runs a lane a host and takes each post's result from its lane."""
    hosts = posts["url"].str.extract(_HOST, expand=False).fillna("").astype("category")
    session.require_contact(hosts.cat.categories)
    lane_of = (hosts.cat.codes % _MAX_LANES).to_numpy()
    memory = _Memory(_MEMORY)
    work = _worker(settings, state, session, memory, page_of)
    lanes: dict[int, Lane] = {}
    try:
        for number in sorted(set(lane_of.tolist())):
            mine = lane_of == number
            ahead = _AHEAD_ARCHIVE if (hosts[mine] == SCHEME).any() else _AHEAD_WEB
            width = settings.concurrency
            lanes[number] = Lane(iterate_posts(posts[mine]), work, width, ahead, session)
        for lane in lanes.values():
            lane.start()
        for number in lane_of.tolist():
            post, fetched = lanes[number].next()
            yield _result(post, fetched, state)
            memory.release(fetched)
    finally:
        for lane in lanes.values():
            lane.close()


def _host(url: str) -> str:
    return SCHEME if url.startswith(SCHEME) else web_host(url)


class _Memory:
    """Bytes of images that wait for their turn: as many as fit stay, the others wait on disk."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._kept: dict[int, int] = {}  # id of the Fetched → its bytes

    def keep(self, fetched: Fetched) -> Fetched:
        """``fetched``, without its data when there is no room for them."""
        size = len(fetched.data or b"")
        if size > self._free:
            return replace(fetched, data=None)
        self._free -= size
        self._kept[id(fetched)] = size
        return fetched

    def release(self, fetched: Fetched) -> None:
        """``fetched`` has had its turn; it may have come from an archive, or twice for twins."""
        self._free += self._kept.pop(id(fetched), 0)


def _worker(
    settings: CrawlSettings,
    state: State,
    session: Session,
    memory: _Memory,
    page_of: Callable[[Post], str],
) -> Work:
    archives = ArchiveReader()

    async def work(post: Post) -> Fetched:
        if post.url.startswith(SCHEME):  # on disk already: nothing to remember
            return await asyncio.to_thread(fetch_archived, post, settings, archives)
        fetched = state.recall(post)
        if fetched is None:
            part = state.part(post)
            fetched = await fetch(post, settings, session, part, page_of(post))
            state.record(post, fetched, part)
        return memory.keep(fetched)

    return work


def _result(post: Post, fetched: Fetched, state: State) -> Result:
    if fetched.outcome is Outcome.OK and fetched.data is None:
        again = state.recall(post)
        if again is None or again.data is None:
            raise CrawlError(f"the stored bytes of {post.url} are damaged: run the crawl again")
        fetched = again
    known = (fetched.data, fetched.sha256, fetched.md5, fetched.width, fetched.height)
    return Result(post, fetched.outcome, fetched.reason, *known)


def _mark_duplicates(results: Iterator[Result]) -> Iterator[Result]:
    """Turns every ok result whose bytes came before into a duplicate_bytes without data.

    Within a source only: were it across sources, more posts of one would change the shards of
    another.
    """
    first: dict[tuple[str, str], str] = {}
    for result in results:
        key = (result.post.source, result.sha256)
        if result.outcome is not Outcome.OK:
            yield result
        elif key in first:
            reason = f"same bytes as {first[key]}"
            yield replace(result, outcome=Outcome.DUPLICATE_BYTES, reason=reason, data=None)
        else:
            first[key] = result.post.url
            yield result


class _Tally:
    """Counts results and failures by host."""

    def __init__(self) -> None:
        self._posts = 0
        self._failures: dict[str, list[str]] = {}

    def add(self, result: Result) -> None:
        self._posts += 1
        if result.outcome not in SUCCESS:
            reasons = self._failures.setdefault(_host(result.post.url), [])
            reasons.append(f"{result.outcome}: {result.reason}")

    def check(self, max_fraction: float) -> None:
        """Raises CrawlError naming the worst host when too large a part of the posts failed."""
        failed = sum(map(len, self._failures.values()))
        if failed <= max_fraction * self._posts:
            return
        host, reasons = max(self._failures.items(), key=lambda item: len(item[1]))
        times, reason = grouped(reasons)[0]
        raise CrawlError(
            f"{failed} of {self._posts} posts failed, more than crawl.max_failure_fraction "
            f"({max_fraction:g}) allows; worst is {host} with {len(reasons)}, {times} of them "
            f"{reason}. What was downloaded is kept: mend the cause and run again"
        )

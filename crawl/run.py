"""The crawl: from the table of posts to one result a post, in the order of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from crawl.archives import SCHEME, ArchiveReader
from crawl.errors import CrawlError
from crawl.fetch import Fetched, fetch, fetch_archived
from crawl.lanes import Lane
from crawl.outcomes import SUCCESS, Outcome
from crawl.posts import Post, iterate_posts
from crawl.progress import progress
from crawl.session import Session
from crawl.settings import CrawlSettings
from crawl.state import State
from crawl.urls import web_host

_MAX_LANES = 64  # a gallery may link to hundreds of hosts; each lane has its own threads
_AHEAD_WEB = 1000  # posts; their bytes wait on disk
_AHEAD_ARCHIVE = 16  # posts; their bytes wait in memory


@dataclass(frozen=True)
class Result:
    """What became of one post. ``data``, the original bytes, only when the outcome is ok."""

    post: Post
    outcome: Outcome
    reason: str  # empty when ok
    data: bytes | None
    sha256: str  # hex; empty unless ok or duplicate_bytes
    width: int | None  # pixels, from the header
    height: int | None


def crawl(
    posts: pd.DataFrame, settings: CrawlSettings, state_dir: Path, session: Session
) -> Generator[Result, None, None]:
    """Downloads ``posts`` (see ``posts_frame``) and yields one Result a post, in their order.

    ``state_dir`` remembers what is complete: killed and started again, the crawl goes on. The
    results do not depend on the number of threads, on timing or on how often it was killed.

    Raises CrawlError when another crawl uses ``state_dir``, when a public host is to be asked and
    ``contact`` is empty, and at the end when more than ``max_failure_fraction`` of the posts
    failed.
    """
    tally = _Tally()
    with (
        State(state_dir, settings) as state,
        # Closed before the state is, also when the reader stops early: its threads use the state.
        closing(_in_order(posts, settings, state, session)) as results,
    ):
        for result in progress(_mark_duplicates(results), len(posts), "crawl"):
            tally.add(result)
            yield result
        state.finish()
    tally.check(settings.max_failure_fraction)


def _in_order(
    posts: pd.DataFrame, settings: CrawlSettings, state: State, session: Session
) -> Generator[Result, None, None]:
    """Runs a lane a host and takes each post's result from its lane."""
    hosts = posts["url"].map(_host).astype("category")
    lane_of = hosts.cat.codes % _MAX_LANES
    work = _worker(settings, state, session)
    lanes: dict[int, Lane] = {}
    for number in sorted(lane_of.unique()):
        mine = lane_of == number
        ahead = _AHEAD_ARCHIVE if (hosts[mine] == SCHEME).any() else _AHEAD_WEB
        lanes[number] = Lane(iterate_posts(posts[mine]), work, settings.concurrency, ahead)
    try:
        for lane in lanes.values():
            lane.fill()
        for number in lane_of:
            yield _result(*lanes[number].next(), state)
    finally:
        session.throttle.stop.set()  # wakes those that wait for their turn
        for lane in lanes.values():
            lane.close()
        session.throttle.stop.clear()


def _host(url: str) -> str:
    return SCHEME if url.startswith(SCHEME) else web_host(url)


def _worker(settings: CrawlSettings, state: State, session: Session) -> Callable[[Post], Fetched]:
    archives = ArchiveReader()

    def work(post: Post) -> Fetched:
        if post.url.startswith(SCHEME):  # on disk already: nothing to remember
            return fetch_archived(post, settings, archives)
        fetched = state.recall(post)
        if fetched is None:
            part = state.part(post)
            fetched = fetch(post, settings, session, part)
            state.record(post, fetched, part)
        return replace(fetched, data=None)

    return work


def _result(post: Post, fetched: Fetched, state: State) -> Result:
    data = fetched.data
    if fetched.outcome is Outcome.OK and data is None:
        data = state.blob(fetched.sha256)
        if data is None:
            raise CrawlError(f"the stored bytes of {post.url} are damaged: run the crawl again")
    return Result(
        post, fetched.outcome, fetched.reason, data, fetched.sha256, fetched.width, fetched.height
    )


def _mark_duplicates(results: Iterator[Result]) -> Iterator[Result]:
    """Turns every ok result whose bytes came before into a duplicate_bytes without data."""
    first: dict[str, str] = {}
    for result in results:
        if result.outcome is not Outcome.OK:
            yield result
        elif result.sha256 in first:
            reason = f"same bytes as {first[result.sha256]}"
            yield replace(result, outcome=Outcome.DUPLICATE_BYTES, reason=reason, data=None)
        else:
            first[result.sha256] = result.post.url
            yield result


class _Tally:
    """Counts results and failures by host."""

    def __init__(self) -> None:
        self._posts = 0
        self._failures: dict[str, Counter[str]] = {}

    def add(self, result: Result) -> None:
        self._posts += 1
        if result.outcome not in SUCCESS:
            reasons = self._failures.setdefault(_host(result.post.url), Counter())
            reasons[f"{result.outcome}: {result.reason}"] += 1

    def check(self, max_fraction: float) -> None:
        """Raises CrawlError naming the worst host when too large a part of the posts failed."""
        failed = sum(reasons.total() for reasons in self._failures.values())
        if failed <= max_fraction * self._posts:
            return
        host, reasons = max(self._failures.items(), key=lambda item: item[1].total())
        reason, times = reasons.most_common(1)[0]
        raise CrawlError(
            f"{failed} of {self._posts} posts failed, more than crawl.max_failure_fraction "
            f"({max_fraction:g}) allows; worst is {host} with {reasons.total()}, {times} of them "
            f"{reason}. What was downloaded is kept: mend the cause and run again"
        )

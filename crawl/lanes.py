"""Posts of one host, downloaded ahead of where the reader is.

Each host has its own lane, so a slow host holds back nobody else. Results come out in the order of
the posts; how far a lane runs ahead is bounded, and with it memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice

from crawl.fetch import Fetched
from crawl.posts import Post
from crawl.web.session import Session

# Results are handed over in numbers, and the loop runs on for a moment to have some: switching
# between it and the reader takes time.
_AT_ONCE = 64
_LINGER = 0.05  # seconds

Work = Callable[[Post], Awaitable[Fetched]]


class Lane:
    """Runs ``work`` on ``posts``, on at most ``width`` of them at once (one that waits to be asked
    for again counts) and at most ``ahead`` ahead of the results that were taken.
    """

    def __init__(
        self, posts: Iterator[Post], work: Work, width: int, ahead: int, session: Session
    ) -> None:
        self._posts = posts
        self._work = work
        self._places = asyncio.Semaphore(width)
        self._ahead = ahead
        self._session = session
        self._queue: deque[tuple[Post, asyncio.Future[Fetched]]] = deque()
        self._under_way: dict[tuple[str, str], asyncio.Future[Fetched]] = {}
        self._taken: deque[tuple[Post, Fetched]] = deque()

    def start(self) -> None:
        """Begins work."""
        self._session.run(self._begin())

    def next(self) -> tuple[Post, Fetched]:
        """The next post, in order, and what came of it. Raises what ``work`` raised."""
        if not self._taken:
            self._session.run(self._take())
        return self._taken.popleft()

    def close(self) -> None:
        """Breaks off what is under way."""
        self._session.run(self._cancel())

    async def _begin(self) -> None:
        self._fill()

    async def _take(self) -> None:
        """Takes the next result, and those after it that are there soon."""
        coming = [result for _, result in islice(self._queue, _AT_ONCE)]
        await asyncio.wait(coming[:1])
        await asyncio.wait(coming, timeout=_LINGER)
        while len(self._taken) < len(coming) and self._queue[0][1].done():
            post, result = self._queue.popleft()
            self._under_way.pop((post.url, post.md5), None)
            self._taken.append((post, result.result()))
        self._fill()

    def _fill(self) -> None:
        """Begins work until the lane is as far ahead as it may be."""
        while len(self._queue) < self._ahead and (post := next(self._posts, None)) is not None:
            key = (post.url, post.md5)
            # Two posts may name one image: it is asked for once.
            if key not in self._under_way:
                self._under_way[key] = asyncio.ensure_future(self._run(post))
            self._queue.append((post, self._under_way[key]))

    async def _run(self, post: Post) -> Fetched:
        async with self._places:
            return await self._work(post)

    async def _cancel(self) -> None:
        self._ahead = 0
        under_way = list(self._under_way.values())
        for result in under_way:
            result.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

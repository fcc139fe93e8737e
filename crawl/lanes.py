"""Posts of one host, downloaded ahead of where the reader is.

Each host has its own lane, so a slow host holds back nobody else. Results come out in the order of
the posts; how far a lane runs ahead is bounded, and with it memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future

from crawl.fetch import Fetched
from crawl.loop import LoopThread
from crawl.posts import Post

_AT_ONCE = 64  # results handed from the loop to the reader, to spare the two switching turns

Work = Callable[[Post], Awaitable[Fetched]]


class Lane:
    """Runs ``work`` on ``posts``, on at most ``width`` of them at once (one that waits to be asked
    for again counts) and at most ``ahead`` ahead of the results that were taken.
    """

    def __init__(
        self, posts: Iterator[Post], work: Work, width: int, ahead: int, loop: LoopThread
    ) -> None:
        self._posts = posts
        self._work = work
        self._places = asyncio.Semaphore(width)
        self._ahead = ahead
        self._loop = loop
        self._queue: deque[tuple[Post, asyncio.Future[Fetched]]] = deque()
        self._under_way: dict[tuple[str, str], asyncio.Future[Fetched]] = {}
        self._taken: deque[tuple[Post, Fetched]] = deque()
        self._next: Future[list[tuple[Post, Fetched]]] = loop.submit(self._take())

    def next(self) -> tuple[Post, Fetched]:
        """The next post, in order, and what came of it. Raises what ``work`` raised."""
        if not self._taken:
            self._taken.extend(self._next.result())
            self._next = self._loop.submit(self._take())
        return self._taken.popleft()

    def close(self) -> None:
        """Breaks off what is under way."""
        self._loop.run(self._cancel())

    async def _take(self) -> list[tuple[Post, Fetched]]:
        """The next result, and those after it that are there already."""
        taken: list[tuple[Post, Fetched]] = []
        self._fill()
        while self._queue and len(taken) < _AT_ONCE:
            post, result = self._queue[0]
            if taken and not result.done():
                break
            fetched = await result
            self._queue.popleft()
            self._under_way.pop((post.url, post.md5), None)
            taken.append((post, fetched))
            self._fill()
        return taken

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

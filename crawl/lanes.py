"""Posts of one host, downloaded ahead of where the reader is.

Each host has its own few threads, so a slow host holds back nobody else. Results come out in the
order of the posts; how far a lane runs ahead is bounded, and with it memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from crawl.fetch import Fetched
from crawl.posts import Post


class Lane:
    """Runs ``work`` on ``posts``, in order, with ``threads`` threads, at most ``ahead`` ahead."""

    def __init__(
        self, posts: Iterator[Post], work: Callable[[Post], Fetched], threads: int, ahead: int
    ) -> None:
        self._posts = posts
        self._work = work
        self._ahead = ahead
        self._executor = ThreadPoolExecutor(threads)
        self._queue: deque[tuple[Post, Future[Fetched]]] = deque()
        self._under_way: dict[tuple[str, str], Future[Fetched]] = {}

    def fill(self) -> None:
        """Hands out work until the lane is as far ahead as it may be."""
        while len(self._queue) < self._ahead and (post := next(self._posts, None)) is not None:
            key = (post.url, post.md5)
            # Two posts may name one image: it is asked for once.
            if key not in self._under_way:
                self._under_way[key] = self._executor.submit(self._work, post)
            self._queue.append((post, self._under_way[key]))

    def next(self) -> tuple[Post, Fetched]:
        """The next post of this lane and what came of it. Raises what ``work`` raised."""
        self.fill()
        post, future = self._queue.popleft()
        self._under_way.pop((post.url, post.md5), None)
        return post, future.result()

    def close(self) -> None:
        """Drops work that has not begun and waits for the rest."""
        self._executor.shutdown(wait=True, cancel_futures=True)

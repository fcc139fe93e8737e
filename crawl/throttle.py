"""How often and how wide a host is asked: one rate and one concurrency limit per host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from crawl.errors import CrawlError

# Requests travel for different times: without a margin the sixth of 5/s can arrive within the
# first one's second.
_MARGIN = 1.01


class Throttle:
    """Spaces the requests to each host, across threads.

    :param rate: requests per second and host; 0: no limit.
    :param concurrency: requests under way at once per host, until their body is read.
    """

    def __init__(self, rate: float, concurrency: int) -> None:
        self._interval = _MARGIN / rate if rate else 0.0
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = {}
        self._delays: dict[str, float] = {}
        self._free_at: dict[str, float] = {}
        self.stop = threading.Event()  # set: whoever waits here gives up at once

    @contextmanager
    def slot(self, host: str) -> Iterator[None]:
        """Waits for a turn at ``host`` and holds one of its places within the block."""
        with self._lock:
            slots = self._slots.setdefault(host, threading.Semaphore(self._concurrency))
        with slots:
            while wait := self._claim(host):
                self.pause(wait)
            yield

    def slow_down(self, host: str, delay: float) -> None:
        """From now on at least ``delay`` seconds between requests to ``host`` (Crawl-delay)."""
        with self._lock:
            self._delays[host] = max(delay, self._delays.get(host, 0.0))

    def hold(self, host: str, seconds: float) -> None:
        """No thread asks ``host`` for anything within the next ``seconds`` (Retry-After)."""
        with self._lock:
            until = time.monotonic() + seconds
            self._free_at[host] = max(until, self._free_at.get(host, 0.0))

    def pause(self, seconds: float) -> None:
        """Sleeps. Raises CrawlError when the crawl is stopped meanwhile."""
        if self.stop.wait(seconds):
            raise CrawlError("the crawl was stopped: run it again to go on")

    def _claim(self, host: str) -> float:
        """Takes the next turn and returns 0, or returns the seconds to wait before asking again.

        The next turn counts from now, not from when this one was due: lateness is never made up
        for, so no one-second window sees more than the rate.
        """
        with self._lock:
            now = time.monotonic()
            if now < (free_at := self._free_at.get(host, 0.0)):
                return free_at - now
            self._free_at[host] = now + max(self._interval, self._delays.get(host, 0.0))
            return 0.0

"""How often and how wide a host is asked: one rate and one concurrency limit per host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Requests travel for different times: without a margin the sixth of 5/s can arrive within the
# first one's second.
_MARGIN = 1.008


class Throttle:
    """Spaces the requests to each host, whoever makes them. For one event loop.

    Args:
        rate: requests per second and host; inf: no limit.
        concurrency: requests under way at once per host, until their body is read.
    """

    def __init__(self, rate: float, concurrency: int) -> None:
        self._interval = _MARGIN / rate
        self._concurrency = concurrency
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._queues: dict[str, asyncio.Lock] = {}
        self._delays: dict[str, float] = {}
        self._free_at: dict[str, float] = {}

    @asynccontextmanager
    async def slot(self, host: str) -> AsyncIterator[None]:
        """Waits for a turn at ``host`` and holds one of its places within the block."""
        if host not in self._slots:
            self._slots[host] = asyncio.Semaphore(self._concurrency)
            self._queues[host] = asyncio.Lock()
        async with self._slots[host]:
            async with self._queues[host]:  # first come, first served
                while wait := self._claim(host):
                    await asyncio.sleep(wait)
            yield

    def slow_down(self, host: str, delay: float) -> None:
        """From now on at least ``delay`` seconds between requests to ``host`` (Crawl-delay)."""
        self._delays[host] = max(delay, self._delays.get(host, 0.0))

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks ``host`` for anything within the next ``seconds`` (Retry-After)."""
        until = time.monotonic() + seconds
        self._free_at[host] = max(until, self._free_at.get(host, 0.0))

    def delayed(self, host: str) -> None:
        """A request that had its turn at ``host`` goes out only now: it had to connect first. The
        next one counts from now, or the two would arrive too close to each other.
        """
        self._free_at[host] = max(self._next(host), self._free_at[host])

    def _next(self, host: str) -> float:
        return time.monotonic() + max(self._interval, self._delays.get(host, 0.0))

    def _claim(self, host: str) -> float:
        """Takes the next turn and returns 0, or returns the seconds to wait before asking again.

        The next turn counts from now, not from when this one was due: lateness is never made up
        for, so no one-second window sees more than the rate.
        """
        now = time.monotonic()
        if now < (free_at := self._free_at.get(host, 0.0)):
            return free_at - now
        self._free_at[host] = self._next(host)
        return 0.0

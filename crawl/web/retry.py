"""When to ask again, and after how long."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import urllib3
from urllib3.exceptions import InvalidHeader

from crawl.outcomes import FetchError, Outcome
from crawl.web.throttle import Throttle

# HTTP statuses that may pass; those above 511 are of proxies that do not reach the site.
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 529, 530})
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 60.0  # seconds


class BusyError(Exception):
    """The host answered, but not now.

    Args:
        status: HTTP status.
        retry_after: value of the header of that name, or None.
        said: ``: …`` in the host's own words, or nothing.
    """

    def __init__(self, host: str, status: int, retry_after: str | None, said: str = "") -> None:
        super().__init__(f"HTTP {status}{said}")
        self.host = host
        self.retry_after = retry_after


class TruncatedError(Exception):
    """The body ended before its announced end."""


class LongWaitError(FetchError):
    """The host asks for a longer wait than we are willing to; to be left alone."""

    def __init__(self, error: BusyError, seconds: float) -> None:
        reason = f"{error}, asks to wait {seconds:,.0f} s: more than web.retry_after_max"
        super().__init__(Outcome.HOST_PARKED, reason)
        self.host = error.host


class UnreachableError(Exception):
    """The host's name does not resolve, for now."""


PASSING = (BusyError, TruncatedError, UnreachableError, aiohttp.ClientError, TimeoutError)


class Patience:
    """What is left of one post's retries: one budget, whatever goes wrong with it.

    Args:
        retries: how often to ask again in all.
        retry_after_max: the longest wait in seconds that a host may ask for; one that asks for more
            is left alone, as coming back sooner would be rude.
        throttle: told to hold a host back.
    """

    def __init__(self, retries: int, retry_after_max: float, throttle: Throttle) -> None:
        self._retries = retries
        self._retry_after_max = retry_after_max
        self._failures = 0
        self._throttle = throttle

    async def wait(self, error: Exception) -> None:
        """Waits until it makes sense to ask again after ``error``, one of ``PASSING``.

        Retry-After holds back everybody who asks this host; without it only this post waits:
        0.5 s · 2ⁿ, capped, times a random factor in [0.5, 1] so that posts do not come back in
        step. Raises FetchError when the retries are used up (gave_up, truncated), LongWaitError.
        """
        asked = parse_retry_after(error.retry_after) if isinstance(error, BusyError) else None
        if isinstance(error, BusyError) and asked is not None and asked > self._retry_after_max:
            raise LongWaitError(error, asked)
        self._failures += 1
        if self._failures > self._retries:
            outcome = Outcome.TRUNCATED if isinstance(error, TruncatedError) else Outcome.GAVE_UP
            raise FetchError(outcome, f"{_summary(error)}, tried {self._failures} times")
        if isinstance(error, BusyError) and asked is not None:
            self._throttle.hold(error.host, asked)
            return
        backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** (self._failures - 1))
        await asyncio.sleep(backoff * random.uniform(0.5, 1.0))


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from now that a Retry-After header asks for, at least 0: it holds seconds or an HTTP
    date (RFC 9110 section 10.2.3). None when it is absent or neither.
    """
    if value is None:
        return None
    try:
        # urllib3 knows both forms; its cap is for clients that obey it anyway.
        return float(urllib3.Retry(retry_after_max=10**9).parse_retry_after(value))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _summary(error: Exception) -> str:
    """What went wrong, in words that do not differ from run to run."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}: {error.os_error.strerror or error.os_error}"
    if isinstance(error, BusyError | TruncatedError | UnreachableError):
        return str(error)
    reason = " ".join(str(error).split())
    if "content-encoding" in reason:  # its words advise what to install
        return "sent in a Content-Encoding that nobody asked for, or damaged"
    if isinstance(error, aiohttp.ClientResponseError):  # it shows the bytes
        first, _, _ = error.message.strip().partition("\n")
        return f"what it sends is no HTTP: {first.strip(': ') or error.status}"
    return f"{type(error).__name__}: {reason}"

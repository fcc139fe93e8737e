"""When to ask again, and after how long."""

from __future__ import annotations

import random

import urllib3
from urllib3.exceptions import InvalidHeader

from crawl.outcomes import FetchError, Outcome
from crawl.throttle import Throttle

BUSY = frozenset({429, 500, 502, 503, 504})  # HTTP statuses that may pass
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 60.0  # seconds


class BusyError(Exception):
    """The host answered, but not now.

    :param status: HTTP status.
    :param retry_after: value of the header of that name, or None.
    """

    def __init__(self, host: str, status: int, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status}")
        self.host = host
        self.retry_after = retry_after


class TruncatedError(Exception):
    """The body ended before its announced end."""


class UnreachableError(Exception):
    """The host's name does not resolve, for now."""


PASSING = (BusyError, TruncatedError, UnreachableError, urllib3.exceptions.HTTPError)


class Patience:
    """What is left of one post's retries: one budget, whatever goes wrong with it.

    :param retries: how often to ask again in all.
    :param retry_after_max: the longest wait in seconds that a host may ask for; one that asks for
        more is left alone, as coming back sooner would be rude.
    :param throttle: does the waiting.
    """

    def __init__(self, retries: int, retry_after_max: float, throttle: Throttle) -> None:
        self._retries = retries
        self._retry_after_max = retry_after_max
        self._failures = 0
        self._throttle = throttle

    def wait(self, error: Exception) -> None:
        """Waits until it makes sense to ask again after ``error``, one of ``PASSING``.

        Retry-After holds back every thread that asks this host; without it only this one waits:
        0.5 s · 2ⁿ, capped, times a random factor in [0.5, 1] so that threads do not come back in
        step. Raises FetchError when the retries are used up (gave_up, truncated) or the host asks
        for too long a wait (host_parked).
        """
        asked = parse_retry_after(error.retry_after) if isinstance(error, BusyError) else None
        if asked is not None and asked > self._retry_after_max:
            reason = f"{error}, asks to wait {asked:,.0f} s: more than web.retry_after_max"
            raise FetchError(Outcome.HOST_PARKED, reason)
        self._failures += 1
        if self._failures > self._retries:
            outcome = Outcome.TRUNCATED if isinstance(error, TruncatedError) else Outcome.GAVE_UP
            raise FetchError(outcome, f"{_summary(error)}, tried {self._failures} times")
        if isinstance(error, BusyError) and asked is not None:
            self._throttle.hold(error.host, asked)
            return
        backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** (self._failures - 1))
        self._throttle.pause(backoff * random.uniform(0.5, 1.0))


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
    """The innermost reason, without the names of the machinery around it or object addresses."""
    inner = error
    while inner.args and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    reason = getattr(inner, "reason", None)
    if isinstance(reason, Exception):
        return _summary(reason)
    return f"{type(inner).__name__}: {inner}" if inner is not error else str(error)

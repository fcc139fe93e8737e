"""When to ask again, and after how long."""

from __future__ import annotations

import random

import requests
import urllib3
from urllib3.exceptions import InvalidHeader

from crawl.outcomes import FetchError, Outcome
from crawl.throttle import Throttle

BUSY = frozenset({429, 500, 502, 503, 504})  # HTTP statuses that may pass
_FIRST_BACKOFF, _MAX_BACKOFF = 0.5, 60.0  # seconds


class BusyError(Exception):
    """The host answered, but not now."""

    def __init__(self, host: str, response: requests.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.host = host
        self.retry_after = response.headers.get("Retry-After")


class TruncatedError(Exception):
    """The body ended before its announced end."""


PASSING = (
    BusyError,
    TruncatedError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


class Patience:
    """What is left of one post's retries: one budget, whatever goes wrong with it.

    :param retries: how often to ask again in all.
    :param retry_after_max: cap in seconds on what a host may ask us to wait.
    :param throttle: does the waiting.
    """

    def __init__(self, retries: int, retry_after_max: float, throttle: Throttle) -> None:
        self._retries = retries
        self._failures = 0
        self._throttle = throttle
        # urllib3 knows both forms of Retry-After, seconds and HTTP dates.
        self._policy = urllib3.Retry(retry_after_max=int(retry_after_max))

    def wait(self, error: Exception) -> None:
        """Waits until it makes sense to ask again after ``error``, one of ``PASSING``.

        Retry-After holds back every thread that asks this host; without it only this one waits:
        0.5 s · 2ⁿ, capped, times a random factor in [0.5, 1] so that threads do not come back in
        step. Raises FetchError when the retries are used up.
        """
        self._failures += 1
        if self._failures > self._retries:
            outcome = Outcome.TRUNCATED if isinstance(error, TruncatedError) else Outcome.GAVE_UP
            raise FetchError(outcome, f"{_summary(error)}, tried {self._failures} times")
        if isinstance(error, BusyError) and (asked := self._retry_after(error)) is not None:
            self._throttle.hold(error.host, asked)
            return
        backoff = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** (self._failures - 1))
        self._throttle.pause(backoff * random.uniform(0.5, 1.0))

    def _retry_after(self, error: BusyError) -> float | None:
        if error.retry_after is None:
            return None
        try:
            return self._policy.parse_retry_after(error.retry_after)
        except InvalidHeader:
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

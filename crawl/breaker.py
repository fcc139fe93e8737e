"""A circuit breaker: a host that keeps failing is left alone for the rest of the run."""

from __future__ import annotations

import sys
import threading

from crawl.outcomes import FetchError, Outcome

_FAILURES = frozenset({Outcome.GAVE_UP, Outcome.TRUNCATED})


class Breaker:
    """Parks hosts. Safe to share by threads.

    :param limit: failures in a row, each with its retries used up, after which a host is parked.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._in_a_row: dict[str, int] = {}
        self._parked: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raises FetchError (host_parked) when ``host`` is parked."""
        if (reason := self._parked.get(host)) is not None:
            raise FetchError(Outcome.HOST_PARKED, reason)

    def succeeded(self, host: str) -> None:
        """``host`` answered: it counts as well again."""
        if host in self._in_a_row:  # mostly it is not, and then no lock is needed
            with self._lock:
                self._in_a_row.pop(host, None)

    def failed(self, host: str, failure: FetchError) -> None:
        """A request to ``host`` ended in ``failure``; one that asks to be parked is, at once."""
        if failure.outcome not in _FAILURES | {Outcome.HOST_PARKED}:
            return self.succeeded(host)  # an answer, if not the one hoped for
        with self._lock:
            if host in self._parked:
                return None
            times = self._in_a_row[host] = self._in_a_row.get(host, 0) + 1
            if failure.outcome is Outcome.HOST_PARKED:
                self._parked[host] = failure.reason
            elif times >= self._limit:
                self._parked[host] = f"{times} failures in a row, the last: {failure.reason}"
            else:
                return None
        print(f"crawl: {host} is left alone: {self._parked[host]}", file=sys.stderr, flush=True)
        return None

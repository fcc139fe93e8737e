"""A circuit breaker: a host that keeps failing is left alone for the rest of the run."""

from __future__ import annotations

import sys

from crawl.outcomes import FetchError, Outcome

_FAILURES = frozenset({Outcome.GAVE_UP, Outcome.TRUNCATED})


class Breaker:
    """Parks hosts.

    Args:
        limit: failures in a row, each with its retries used up, after which a host is parked.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row: dict[str, int] = {}
        self._parked: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raises FetchError (host_parked) when ``host`` is parked."""
        if (reason := self._parked.get(host)) is not None:
            raise FetchError(Outcome.HOST_PARKED, reason)

    def succeeded(self, host: str) -> None:
        """``host`` answered: it counts as well again."""
        self._in_a_row.pop(host, None)

    def failed(self, host: str, failure: FetchError) -> None:
        """A request to ``host`` ended in ``failure``."""
        if failure.outcome in _FAILURES:
            times = self._in_a_row[host] = self._in_a_row.get(host, 0) + 1
            if times >= self._limit:
                self.park(host, f"{times} failures in a row, the last: {failure.reason}")
        elif failure.outcome is not Outcome.HOST_PARKED:
            self.succeeded(host)  # an answer, if not the one hoped for

    def park(self, host: str, reason: str) -> None:
        """Nobody asks ``host`` for anything from now on."""
        if host not in self._parked:
            self._parked[host] = reason
            print(f"crawl: {host} is left alone: {reason}", file=sys.stderr, flush=True)

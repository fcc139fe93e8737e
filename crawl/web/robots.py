"""robots.txt (RFC 9309): what a site's owner asks crawlers to leave alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from protego import Protego

from crawl.outcomes import FetchError, Outcome

_FRESH = 24 * 3600.0  # seconds; RFC 9309 section 2.4: not longer than 24 hours
_FRESH_FAILURE = 600.0


class Robots:
    """Reads each site's robots.txt once a day. For one event loop.

    Args:
        agent: our name, as robots.txt would call it.
        read: fetches a robots.txt; returns its text ("" when the site has none) or raises
            FetchError when the site does not answer.
        slow_down: told (host, seconds) when a site states a Crawl-delay or Request-rate.
    """

    def __init__(
        self,
        agent: str,
        read: Callable[[str], Awaitable[str]],
        slow_down: Callable[[str, float], None],
    ) -> None:
        self._agent = agent
        self._read = read
        self._slow_down = slow_down
        self._site_locks: dict[str, asyncio.Lock] = {}
        self._rules: dict[str, tuple[float, Protego | FetchError]] = {}

    async def check(self, url: str) -> None:
        """Raises FetchError: forbidden_by_robots, or gave_up when robots.txt cannot be read.

        A site whose robots.txt fails counts as closed (RFC 9309 section 2.3.1.4).
        """
        rules = await self._rules_of(url)
        if isinstance(rules, FetchError):
            raise FetchError(rules.outcome, rules.reason)
        if not rules.can_fetch(url, self._agent):
            raise FetchError(
                Outcome.FORBIDDEN_BY_ROBOTS, f"robots.txt of {urlsplit(url).netloc} forbids {url}"
            )

    async def _rules_of(self, url: str) -> Protego | FetchError:
        site = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        async with self._site_locks.setdefault(site, asyncio.Lock()):
            expires, rules = self._rules.get(site, (0.0, None))
            if rules is None or time.monotonic() >= expires:
                rules = await self._load(site)
                fresh = _FRESH_FAILURE if isinstance(rules, FetchError) else _FRESH
                self._rules[site] = (time.monotonic() + fresh, rules)
            return rules

    async def _load(self, site: str) -> Protego | FetchError:
        try:
            rules = Protego.parse(await self._read(f"{site}/robots.txt"))
        except FetchError as failure:
            reason = f"{site}/robots.txt cannot be read: {failure.reason}"
            return FetchError(failure.outcome, reason)
        delay = rules.crawl_delay(self._agent) or 0.0
        if rate := rules.request_rate(self._agent):
            delay = max(delay, rate.seconds / rate.requests)
        if delay:
            self._slow_down(urlsplit(site).netloc, delay)
        return rules

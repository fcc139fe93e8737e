"""robots.txt (RFC 9309): what a site's owner asks crawlers to leave alone."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from protego import Protego

from crawl import texts
from crawl.outcomes import FetchError, Outcome

_FRESH = 24 * 3600.0  # seconds; RFC 9309 section 2.4: not longer than 24 hours
_FRESH_FAILURE = 600.0
MAX_BYTES = 512_000  # RFC 9309 section 2.5 asks for at least 500 KiB
_TAG = re.compile(r"(?i)</?(?:html|body|pre|br|p|div|span)\b[^<>\n]*>")
_ORIGIN = re.compile(r"(?i)https?://[^/\s]+(?=/)")
_AGENT, _FORBID = frozenset({"user-agent", "useragent", "user agent"}), "disallow"


class Robots:
    """Reads each site's robots.txt once a day. For one event loop.

    Args:
        agent: our name, as robots.txt would call it.
        read: fetches a robots.txt; returns its text ("" when the site has none) or raises
            FetchError when the site does not answer.
        slow_down: told (host, seconds) when a site states a Crawl-delay or Request-rate.
        longest: seconds of a Crawl-delay; a site that wants a longer one is not asked.
    """

    def __init__(
        self,
        agent: str,
        read: Callable[[str], Awaitable[str]],
        slow_down: Callable[[str, float], None],
        longest: float = 600.0,
    ) -> None:
        self._agent = agent
        self._read = read
        self._slow_down = slow_down
        self._longest = longest
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
        delay = _delay(rules, self._agent)
        if delay > self._longest:
            reason = f"{site}/robots.txt asks for {delay:,.0f} s between two requests"
            return FetchError(Outcome.HOST_PARKED, f"{reason}: more than web.retry_after_max")
        if delay:
            self._slow_down(urlsplit(site).netloc, delay)
        return rules


def text_of(body: bytes) -> str:
    """The text of a robots.txt, at most `MAX_BYTES` of which are looked at.

    RFC 9309 asks for UTF-8; a byte order mark, or UTF-16 without one, is what some editors write.
    A last line that is cut off could forbid more than its owner wrote: it is left out. Where a rule
    is not written as it should be, what it means to forbid is forbidden.
    """
    text = texts.decoded(body[:MAX_BYTES], errors="replace")
    lines = text.removeprefix("\u00ef\u00bb\u00bf").splitlines()  # a mark in another encoding
    text = "\n".join(lines[:-1] if len(body) >= MAX_BYTES else lines)
    text = _TAG.sub("\n", "".join(filter(texts.is_seen, text)))
    return "\n".join(map(_meant, text.splitlines()))


def _meant(line: str) -> str:
    """A rule as it should be written; every other line as it stands."""
    key, _, value = line.replace("\uff1a", ":", 1).partition(":")
    name, value = key.strip().lower(), value.strip().strip("\"'")
    if name in _AGENT:  # a version is no part of a crawler's name
        return f"user-agent: {value.partition('#')[0].partition('/')[0].strip()}"
    if name != _FORBID:
        return line
    path = value[origin.end() :] if (origin := _ORIGIN.match(value)) else value
    return f"{_FORBID}: {'' if path[:1] in ('', '/', '*', '#', '$') else '/'}{path}"


def _delay(rules: Protego, agent: str) -> float:
    """Seconds between two requests that ``rules`` ask for; 0 when they ask for none."""
    delay = rules.crawl_delay(agent) or 0.0
    rate = rules.request_rate(agent)
    if rate and rate.requests:
        delay = max(delay, rate.seconds / rate.requests)
    return delay if delay > 0 else 0.0  # never NaN

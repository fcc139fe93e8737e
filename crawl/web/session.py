"""One polite way to ask the web for something: robots, throttle, address guard, retries.

Everything this package requests, pages as well as images, goes through ``Session.get``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp

from crawl.outcomes import FetchError, Outcome
from crawl.secrets import is_secret, remember
from crawl.settings import CrawlSettings
from crawl.web import urls
from crawl.web.addresses import AddressGuard
from crawl.web.answers import Page, read_page, read_robots, said
from crawl.web.breaker import Breaker
from crawl.web.retry import BUSY, PASSING, BusyError, LongWaitError, Patience
from crawl.web.robots import Robots
from crawl.web.throttle import Throttle
from crawl.web.transport import Transport
from crawl.web.urls import MAX_REDIRECTS, web_host

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")
Reader = Callable[[aiohttp.ClientResponse, str], Awaitable[T]]


@dataclass(frozen=True)
class Credentials:
    """What a site knows its user by. Sent to the host that was asked, never on to where it
    redirects, and shown nowhere.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)  # parameters of the URL

    def __post_init__(self) -> None:
        secret = [value for name, value in self.query.items() if is_secret(name)]
        remember(*self.headers.values(), *secret)

    def add_to(self, url: str) -> str:
        """``url`` with the secret parameters."""
        if not self.query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}"


_NOBODY = Credentials()


class Session:
    """A polite client; a context manager. Not for several threads: its event loop runs while
    somebody waits for ``run`` or ``page``.

    Args:
        settings: limits, contact, timeouts.
        connect_to: host → (address, port) to connect to in its place; see Transport.
    """

    def __init__(
        self, settings: CrawlSettings, connect_to: dict[str, tuple[str, int]] | None = None
    ) -> None:
        self._settings = settings
        self._user_agent = settings.user_agent
        self._guard = AddressGuard(settings.allow_private_hosts, settings.contact)
        self._connect_to = connect_to or {}
        self._throttle = Throttle(settings.rate, settings.concurrency)
        self._robots = Robots(
            settings.user_agent_name,
            self._read_robots,
            self._throttle.slow_down,
            settings.retry_after_max,
        )
        self._breaker = Breaker(settings.park_after)
        self._runner = asyncio.Runner()
        self._transport = self.run(self._open())

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.run(self._transport.close())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work``, made of this session's coroutines, returns. Raises what it raises."""
        return self._runner.run(work)

    def require_contact(self, urls: Iterable[str]) -> None:
        """Raises CrawlError when one of ``urls`` may be on a public host and nobody could tell its
        owner who asks. Nothing is asked or looked up; what is no web address is passed over.
        """
        hosts = {urlsplit(url).hostname or "" for url in urls if web_host(url)}
        for host in sorted(hosts):
            self._guard.require_contact(host, self._connect_to.get(host, (host, 0))[0])

    def page(self, url: str, credentials: Credentials = _NOBODY) -> Page:
        """The page at ``url``, redirects followed. Raises FetchError unless it is HTTP 200."""
        return self.run(self.get_page(url, credentials))

    async def get_page(self, url: str, credentials: Credentials = _NOBODY) -> Page:
        """As ``page``, for use in coroutines."""
        return await self.get(url, read_page, dict, credentials, decompress=True)

    async def get(
        self,
        url: str,
        read: Reader[T],
        headers: Callable[[], Mapping[str, str]] = dict,
        credentials: Credentials = _NOBODY,
        decompress: bool = False,
        referer: str = "",
    ) -> T:
        """What ``read`` makes of the answer to GET ``url``, asked again while it fails in passing.

        Args:
            read: is given a streaming response with any status that is neither a redirect nor busy,
                and the URL it came from in the end; may raise TruncatedError, and is then called
                with a new response.
            headers: called before each try, so that a retry can ask for a range.
            decompress: whether the body may travel compressed.
            referer: the page that shows ``url``; sent as a browser would, see `urls.referer`.

        Raises FetchError (robots, address, retries used up, host parked, what ``read`` raises)
        and CrawlError.
        """
        host = web_host(url)
        self._breaker.check(host)

        async def attempt() -> T:
            return await self._follow(
                url, read, headers(), credentials, decompress, referer=referer
            )

        try:
            answer = await self._patiently(attempt)
        except LongWaitError as failure:
            self._breaker.park(failure.host, failure.reason)
            raise
        except FetchError as failure:
            self._breaker.failed(host, failure)
            raise
        self._breaker.succeeded(host)
        return answer

    async def _open(self) -> Transport:
        return Transport(self._guard, self._connect_to, self._throttle.delayed, self._settings)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        settings = self._settings
        patience = Patience(settings.retries, settings.retry_after_max, self._throttle)
        while True:
            try:
                return await attempt()
            except PASSING as error:
                await patience.wait(error)

    async def _read_robots(self, url: str) -> str:
        async def attempt() -> str:
            return await self._follow(url, read_robots, {}, ask_robots=False)

        return await self._patiently(attempt)

    async def _follow(
        self,
        url: str,
        read: Reader[T],
        headers: Mapping[str, str],
        credentials: Credentials = _NOBODY,
        decompress: bool = True,
        ask_robots: bool = True,
        referer: str = "",
    ) -> T:
        """Follows redirects hop by hop: each hop has its own robots.txt, address and throttle."""
        headers = {"User-Agent": self._user_agent, **headers}
        for _ in range(MAX_REDIRECTS + 1):
            if not (host := web_host(url)):
                raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{url} is no http or https URL")
            if ask_robots:
                await self._robots.check(url)
            page = {"Referer": shown} if (shown := urls.referer(referer, url)) else {}
            secret = {**headers, **page, **credentials.headers}
            async with self._throttle.slot(host):
                response = await self._ask(url, host, secret, credentials, decompress)
                async with response:
                    target = _redirect(url, response)
                    if target is None:
                        if response.status in BUSY:
                            wanted = response.headers.get("Retry-After")
                            why = await said(response)
                            raise BusyError(host, response.status, wanted, why)
                        return await read(response, url)
            if credentials.query:  # where it leads to may repeat them
                raise FetchError(Outcome.GAVE_UP, "redirected, and a key is sent nowhere else")
            url, credentials = target, _NOBODY
        raise FetchError(Outcome.GAVE_UP, f"redirected more than {MAX_REDIRECTS} times")

    async def _ask(
        self,
        url: str,
        host: str,
        headers: dict[str, str],
        credentials: Credentials,
        decompress: bool,
    ) -> aiohttp.ClientResponse:
        try:
            return await self._transport.get(credentials.add_to(url), host, headers, decompress)
        except ValueError:  # its text would show the credentials
            raise FetchError(Outcome.GAVE_UP, f"{url} is not a valid URL") from None


def _redirect(url: str, response: aiohttp.ClientResponse) -> str | None:
    """Where ``response``, to a request for ``url``, sends us; None when it is an answer."""
    target = response.headers.get("Location")
    if response.status not in _REDIRECTS or not target:
        return None
    if link := urls.absolute(url, target):
        return link
    raise FetchError(Outcome.GAVE_UP, f"redirected to {target[:200]!r}, not a valid URL")

"""One polite way to ask the web for something: robots, throttle, address guard, retries.

Everything this package requests, pages as well as images, goes through ``Session.get``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode, urljoin

import urllib3

from crawl.addresses import AddressGuard
from crawl.breaker import Breaker
from crawl.outcomes import FetchError, Outcome
from crawl.retry import BUSY, PASSING, BusyError, Patience
from crawl.robots import Robots
from crawl.settings import CrawlSettings
from crawl.throttle import Throttle
from crawl.transport import Transport
from crawl.urls import web_host

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_ROBOTS_BYTES = 512_000  # RFC 9309 section 2.5 asks for at least 500 KiB
_MAX_PAGE_BYTES = 64_000_000

T = TypeVar("T")
Reader = Callable[[urllib3.BaseHTTPResponse], T]


@dataclass(frozen=True)
class Page:
    """A page and where it was found in the end."""

    url: str
    body: bytes


@dataclass(frozen=True)
class Credentials:
    """What a site knows its user by. Sent to the host that was asked, never on to where it
    redirects, and shown nowhere.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)  # parameters of the URL

    def add_to(self, url: str) -> str:
        """``url`` with the secret parameters."""
        if not self.query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}"


_NOBODY = Credentials()


class Session:
    """A polite client, to be shared by threads; a context manager.

    :param settings: limits, contact, timeouts.
    :param connect_to: host → (address, port) to connect to in its place; see Transport.
    """

    def __init__(
        self, settings: CrawlSettings, connect_to: dict[str, tuple[str, int]] | None = None
    ) -> None:
        self._settings = settings
        self.throttle = Throttle(settings.rate, settings.concurrency)
        self._robots = Robots(settings.user_agent_name, self._read_robots, self.throttle.slow_down)
        self._breaker = Breaker(settings.park_after)
        self._transport = Transport(
            AddressGuard(settings.allow_private_hosts, settings.contact),
            connect_to or {},
            connections=settings.concurrency,
            timeout=settings.timeout,
            deadline=settings.deadline,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self._transport.close()

    def get(
        self,
        url: str,
        read: Reader[T],
        headers: Callable[[], Mapping[str, str]] = dict,
        credentials: Credentials = _NOBODY,
    ) -> T:
        """What ``read`` makes of the answer to GET ``url``, asked again while it fails in passing.

        :param read: is given a streaming response with any status that is neither a redirect nor
            busy; may raise TruncatedError, and is then called with a new response.
        :param headers: called before each try, so that a retry can ask for a range.

        Raises FetchError (robots, address, retries used up, host parked, what ``read`` raises)
        and CrawlError.
        """
        host = web_host(url)
        self._breaker.check(host)
        try:
            answer = self._patiently(lambda: self._follow(url, read, headers(), credentials))
        except FetchError as failure:
            self._breaker.failed(host, failure)
            raise
        self._breaker.succeeded(host)
        return answer

    def page(self, url: str, credentials: Credentials = _NOBODY) -> Page:
        """The page at ``url``, redirects followed. Raises FetchError unless it is HTTP 200."""
        return self.get(url, _read_page, lambda: {"Accept-Encoding": "gzip"}, credentials)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        settings = self._settings
        patience = Patience(settings.retries, settings.retry_after_max, self.throttle)
        while True:
            try:
                return attempt()
            except PASSING as error:
                patience.wait(error)

    def _read_robots(self, url: str) -> str:
        return self._patiently(lambda: self._follow(url, _read_robots_body, {}, ask_robots=False))

    def _follow(
        self,
        url: str,
        read: Reader[T],
        headers: Mapping[str, str],
        credentials: Credentials = _NOBODY,
        ask_robots: bool = True,
    ) -> T:
        """Follows redirects hop by hop: each hop has its own robots.txt, address and throttle."""
        for _ in range(_MAX_REDIRECTS + 1):
            if not web_host(url):
                raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{url} is no http or https URL")
            if ask_robots:
                self._robots.check(url)
            answer = self._ask(url, read, {**headers, **credentials.headers}, credentials)
            if not isinstance(answer, _Redirect):
                return answer
            url, credentials = answer.url, _NOBODY
        raise FetchError(Outcome.GAVE_UP, f"redirected more than {_MAX_REDIRECTS} times")

    def _ask(
        self, url: str, read: Reader[T], headers: Mapping[str, str], credentials: Credentials
    ) -> T | _Redirect:
        host = web_host(url)
        headers = {"User-Agent": self._settings.user_agent, **headers}
        with self.throttle.slot(host):
            try:
                response = self._transport.get(credentials.add_to(url), headers)
            except ValueError:  # its text would show the credentials
                raise FetchError(Outcome.GAVE_UP, f"{url} is not a valid URL") from None
            response.url = url  # without the credentials
            try:
                if response.status in _REDIRECTS and (target := response.headers.get("Location")):
                    return _Redirect(_join(url, target))
                if response.status in BUSY:
                    raise BusyError(host, response.status, response.headers.get("Retry-After"))
                return read(response)
            finally:
                # Goes back to the pool by itself when its body was read; closed otherwise.
                response.close()


@dataclass(frozen=True)
class _Redirect:
    url: str


def _join(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:  # e.g. http://[
        raise FetchError(Outcome.GAVE_UP, f"redirected to {target!r}, not a valid URL") from None


def _read_page(response: urllib3.BaseHTTPResponse) -> Page:
    if response.status != 200:
        raise FetchError(Outcome.GAVE_UP, f"HTTP {response.status}")
    body = response.read(_MAX_PAGE_BYTES + 1, decode_content=True)
    if len(body) > _MAX_PAGE_BYTES:
        raise FetchError(Outcome.TOO_LARGE, f"a page of more than {_MAX_PAGE_BYTES:,} bytes")
    return Page(str(response.url), body)


def _read_robots_body(response: urllib3.BaseHTTPResponse) -> str:
    if 400 <= response.status < 500:
        return ""  # RFC 9309 section 2.3.1.3: no robots.txt, no rules
    if response.status != 200:
        raise FetchError(Outcome.GAVE_UP, f"HTTP {response.status}")
    body = response.read(_MAX_ROBOTS_BYTES, decode_content=True)
    return body.decode("utf-8", errors="replace")

"""One polite way to ask the web for something: robots, throttle, address guard, retries.

Everything this package requests, pages as well as images, goes through ``Session.get``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar
from urllib.parse import urljoin

import requests

from crawl.addresses import AddressGuard
from crawl.outcomes import FetchError, Outcome
from crawl.retry import BUSY, PASSING, BusyError, Patience
from crawl.robots import Robots
from crawl.settings import CrawlSettings
from crawl.throttle import Throttle
from crawl.transport import GuardedAdapter
from crawl.urls import web_host

_MAX_REDIRECTS = 5
_MAX_ROBOTS_BYTES = 512_000  # RFC 9309 section 2.5 asks for at least 500 KiB
_MAX_PAGE_BYTES = 64_000_000

T = TypeVar("T")
Reader = Callable[[requests.Response], T]


@dataclass(frozen=True)
class Page:
    """A page and where it was found in the end."""

    url: str
    body: bytes


class Session:
    """A polite client, to be shared by threads; a context manager.

    :param settings: limits, contact, timeouts.
    :param connect_to: host → (address, port) to connect to in its place; see GuardedAdapter.
    """

    def __init__(
        self, settings: CrawlSettings, connect_to: dict[str, tuple[str, int]] | None = None
    ) -> None:
        self._settings = settings
        self.throttle = Throttle(settings.rate, settings.concurrency)
        self._robots = Robots(settings.user_agent_name, self._read_robots, self.throttle.slow_down)
        self._http = requests.Session()
        # A proxy would connect to addresses that were never checked, ~/.netrc would send
        # passwords, and cookies would make answers depend on what was asked before.
        self._http.trust_env = False
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._http.headers["User-Agent"] = settings.user_agent
        guard = AddressGuard(settings.allow_private_hosts, settings.contact)
        adapter = GuardedAdapter(guard, connect_to or {}, settings.concurrency)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(
        self,
        url: str,
        read: Reader[T],
        headers: Callable[[], dict[str, str]] = dict,
    ) -> T:
        """What ``read`` makes of the answer to GET ``url``, asked again while it fails in passing.

        :param read: is given a streaming response with any status that is neither a redirect nor
            busy; may raise TruncatedError, and is then called with a new response.
        :param headers: called before each try, so that a retry can ask for a range.

        Raises FetchError (robots, address, retries used up, what ``read`` raises) and CrawlError.
        """
        return self._patiently(lambda: self._follow(url, read, headers()))

    def page(self, url: str) -> Page:
        """The page at ``url``, redirects followed. Raises FetchError unless it is HTTP 200."""
        return self.get(url, _read_page)

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
        self, url: str, read: Reader[T], headers: dict[str, str], ask_robots: bool = True
    ) -> T:
        """Follows redirects hop by hop: each hop has its own robots.txt, address and throttle."""
        for _ in range(_MAX_REDIRECTS + 1):
            if not web_host(url):
                raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{url} is no http or https URL")
            if ask_robots:
                self._robots.check(url)
            answer = self._ask(url, read, headers)
            if not isinstance(answer, _Redirect):
                return answer
            url = answer.url
        raise FetchError(Outcome.GAVE_UP, f"redirected more than {_MAX_REDIRECTS} times")

    def _ask(self, url: str, read: Reader[T], headers: dict[str, str]) -> T | _Redirect:
        host = web_host(url)
        timeout = self._settings.timeout
        try:
            with (
                self.throttle.slot(host),
                self._http.get(
                    url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
                ) as response,
            ):
                if (target := self._http.get_redirect_target(response)) is not None:
                    return _Redirect(urljoin(url, target))
                if response.status_code in BUSY:
                    raise BusyError(host, response)
                return read(response)
        except ValueError as error:  # InvalidURL and its kin
            raise FetchError(Outcome.GAVE_UP, f"not a valid URL: {error}") from None


@dataclass(frozen=True)
class _Redirect:
    url: str


def _read_page(response: requests.Response) -> Page:
    if response.status_code != 200:
        raise FetchError(Outcome.GAVE_UP, f"HTTP {response.status_code}")
    body = response.raw.read(_MAX_PAGE_BYTES + 1, decode_content=True)
    if len(body) > _MAX_PAGE_BYTES:
        raise FetchError(Outcome.TOO_LARGE, f"a page of more than {_MAX_PAGE_BYTES:,} bytes")
    return Page(str(response.url), body)


def _read_robots_body(response: requests.Response) -> str:
    if 400 <= response.status_code < 500:
        return ""  # RFC 9309 section 2.3.1.3: no robots.txt, no rules
    if response.status_code != 200:
        raise FetchError(Outcome.GAVE_UP, f"HTTP {response.status_code}")
    body = response.raw.read(_MAX_ROBOTS_BYTES, decode_content=True)
    return body.decode("utf-8", errors="replace")

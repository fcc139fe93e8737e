"""Rates, delays and addresses: what a host's owner would notice."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crawl.addresses import AddressGuard
from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.session import Session
from crawl.settings import CrawlSettings
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site, body, first, slow, status


def get_many(session: Session, paths: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: session.page(f"http://site.demo{path}"), paths))


def spacings(site: Site) -> list[float]:
    times = sorted(seen.at for seen in site.seen)
    return [later - sooner for sooner, later in zip(times, times[1:], strict=False)]


def test_rate_holds_across_threads(site: Site, connect: Any) -> None:
    paths = [f"/{n}" for n in range(10)]
    site.faults |= dict.fromkeys(paths, body(b"x"))
    get_many(connect(quick(rate=20)), paths)
    gaps = spacings(site)
    # A request can be late at the server, and then the next one seems early; never by much.
    assert min(gaps) > 0.03
    assert sum(gaps) == pytest.approx(10 / 20, rel=0.2)


def test_crawl_delay_slows_a_host_down(site: Site, connect: Any) -> None:
    paths = ["/a", "/b", "/c"]
    site.faults |= dict.fromkeys(paths, body(b"x"))
    site.faults["/robots.txt"] = body(b"User-agent: *\nCrawl-delay: 0.3\n")
    get_many(connect(quick()), paths)
    assert min(spacings(site)[1:]) >= 0.28


def test_concurrency_holds_across_threads(site: Site, connect: Any) -> None:
    paths = [f"/{n}" for n in range(8)]
    site.faults |= dict.fromkeys(paths, slow(b"x", 0.05))
    get_many(connect(quick(concurrency=2)), paths)
    assert site.widest == 2


def test_retry_after_holds_the_whole_host_back(site: Site, connect: Any) -> None:
    site.faults["/busy"] = first(1, status(429, Retry_After="1"), body(b"x"))
    site.faults["/other"] = body(b"x")
    session = connect(quick())
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(session.page, "http://site.demo/busy")
        while not site.requests("/busy"):
            time.sleep(0.01)
        time.sleep(0.2)  # until the answer has arrived
        session.page("http://site.demo/other")
        busy.result()
    refused, again = (seen.at for seen in site.requests("/busy"))
    other = site.requests("/other")[0].at
    assert min(again, other) - refused >= 1.0


def test_private_host_is_refused_unless_listed() -> None:
    with pytest.raises(FetchError) as refused:
        AddressGuard((), "me@example.org").address("localhost", "localhost")
    assert refused.value.outcome is Outcome.FORBIDDEN_ADDRESS
    assert "crawl.allow_private_hosts" in refused.value.reason
    assert AddressGuard(("localhost",), "").address("localhost", "localhost") == "127.0.0.1"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1"]
    + ["::ffff:127.0.0.1", "fe80::1", "fd00::1", "100.64.0.1", "2130706433", "0x7f.1"],
)
def test_private_addresses_in_all_their_spellings_are_refused(address: str) -> None:
    with pytest.raises(FetchError):
        AddressGuard((), "me@example.org").address(address, address)


def test_public_host_needs_a_contact() -> None:
    with pytest.raises(CrawlError, match="crawl.contact is empty"):
        AddressGuard((), "").address("1.1.1.1", "1.1.1.1")
    assert AddressGuard((), "me@example.org").address("1.1.1.1", "1.1.1.1") == "1.1.1.1"


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(CrawlError, match="crawl.concurrency is 0"):
        CrawlSettings(concurrency=0)

"""Rates, delays and addresses: what a host's owner would notice."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.settings import CrawlSettings
from crawl.web import throttle
from crawl.web.addresses import AddressGuard, _is_public
from crawl.web.retry import parse_retry_after
from crawl.web.session import Credentials, Session
from crawl.web.urls import web_host
from pipeline.core import params
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Server, Site, body, first, slow, status


def http_date(when: datetime) -> str:
    return format_datetime(when.replace(tzinfo=UTC), usegmt=True)


def get_many(session: Session, paths: list[str]) -> None:
    async def work() -> None:
        await asyncio.gather(*(session.get_page(f"http://site.demo{path}") for path in paths))

    session.run(work())


def addresses(host: str, *private: str, contact: str = "me@example.org") -> list[str]:
    return asyncio.run(AddressGuard(private, contact).addresses(host, host))


def resolve_to(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    async def resolve(host: str) -> list[str]:
        return addresses

    monkeypatch.setattr("crawl.web.addresses._resolve", resolve)


class Clock:
    """Stands in for `time` and `asyncio` where a host's turns are given: only waiting moves it."""

    Semaphore, Lock = asyncio.Semaphore, asyncio.Lock

    def __init__(self) -> None:
        self.now = 1000.0
        self.turns: list[float] = []  # of all hosts
        self.holds: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds

    def gaps(self) -> list[float]:
        return [later - sooner for sooner, later in itertools.pairwise(self.turns)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, claim, hold = Clock(), throttle.Throttle._claim, throttle.Throttle.hold

    def claimed(self: throttle.Throttle, host: str) -> float:
        wait = claim(self, host)
        if not wait:
            clock.turns.append(clock.now)
        return wait

    def held(self: throttle.Throttle, host: str, seconds: float) -> None:
        hold(self, host, seconds)
        clock.holds.append(clock.now + seconds)

    monkeypatch.setattr(throttle.Throttle, "_claim", claimed)
    monkeypatch.setattr(throttle.Throttle, "hold", held)
    monkeypatch.setattr(throttle, "time", clock)
    monkeypatch.setattr(throttle, "asyncio", clock)
    return clock


def test_rate_holds_across_threads(site: Site, connect: Any, clock: Clock) -> None:
    paths = [f"/{n}" for n in range(10)]
    site.faults |= dict.fromkeys(paths, body(b"x"))
    get_many(connect(quick(rate=20)), paths)
    assert clock.gaps() == pytest.approx([throttle._MARGIN / 20] * 10)  # robots.txt came first
    assert len(site.seen) == 11


def test_crawl_delay_slows_a_host_down(site: Site, connect: Any, clock: Clock) -> None:
    paths = ["/a", "/b", "/c"]
    site.faults |= dict.fromkeys(paths, body(b"x"))
    site.faults["/robots.txt"] = body(b"User-agent: *\nCrawl-delay: 0.3\n")
    get_many(connect(quick()), paths)
    assert clock.gaps()[1:] == pytest.approx([0.3, 0.3])  # known from the first answer on


def test_concurrency_holds_across_threads(site: Site, connect: Any) -> None:
    paths = [f"/{n}" for n in range(8)]
    site.faults |= dict.fromkeys(paths, slow(b"x", 0.05))
    get_many(connect(quick(concurrency=2)), paths)
    assert site.widest == 2


def test_retry_after_holds_the_whole_host_back(site: Site, connect: Any, clock: Clock) -> None:
    site.faults["/busy"] = first(1, status(429, Retry_After="1"), body(b"x"))
    site.faults["/other"] = body(b"x")
    session = connect(quick())

    async def work() -> None:
        busy = asyncio.ensure_future(session.get_page("http://site.demo/busy"))
        while not clock.holds:
            await asyncio.sleep(0.01)
        await session.get_page("http://site.demo/other")
        await busy

    session.run(work())
    (until,) = clock.holds
    assert len(site.requests("/busy")) == 2
    assert min(clock.turns[-2:]) >= until > clock.turns[-3]  # `/other` and `/busy` again


def test_private_host_is_refused_unless_listed() -> None:
    with pytest.raises(FetchError) as refused:
        addresses("localhost")
    assert refused.value.outcome is Outcome.FORBIDDEN_ADDRESS
    assert "web.allow_private_hosts" in refused.value.reason
    assert addresses("localhost", "localhost", contact="")[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1"]
    + ["::ffff:127.0.0.1", "fe80::1", "fd00::1", "100.64.0.1", "2130706433", "0x7f.1"]
    + ["64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"]  # tunnels
    + ["::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::"]
    + ["64:ff9b:1::7f00:1", "64:ff9b:1:7f00:0:100::", "fec0::1", "192.88.99.1", "192.0.0.8"]
    + ["2002:c0a8:101::1", "2600::5efe:7f00:1", "2600::200:5efe:10.0.0.1", "2001::1", "3fff::1"]
    + ["5f00::1", "4000::1", "2001:db8::1", "100::1", "ff02::1", "255.255.255.255", "198.18.0.1"]
    + ["fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "240.0.0.1", "192.0.2.1"],
)
def test_private_addresses_in_all_their_spellings_are_refused(address: str) -> None:
    with pytest.raises(FetchError):
        addresses(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"],
)
def test_public_addresses_are_public_also_where_they_stand_for_others(address: str) -> None:
    assert addresses(address)


@given(st.ip_addresses(v=4))
@hypothesis.settings(deadline=None, derandomize=True, max_examples=300)
def test_what_embeds_an_address_is_no_more_public_than_it(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    for outer in (
        0xFFFF << 32 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80,
        0x2600 << 112 | 0x5EFE << 32 | number,
    ):
        embedding = str(ipaddress.IPv6Address(outer))
        assert _is_public(embedding) <= _is_public(str(inner)), embedding
    assert not _is_public(str(ipaddress.IPv6Address(number)))


TURNS = [
    [["93.184.216.34"], ["127.0.0.1"]],
    [["93.184.216.34", "10.0.0.1"]],
    [["127.0.0.1"], ["93.184.216.34"]],
    [["2606:4700::1111"], ["::ffff:127.0.0.1"], ["169.254.169.254"]],
]


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("remembered", [0.0, 300.0])
def test_a_name_that_changes_its_address_leads_nowhere_private(
    turns: list[list[str]], remembered: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whatever a name resolves to next, only what was checked is connected to."""
    answers = itertools.cycle([turn for turn in turns for _ in range(3)])
    connected: list[str] = []

    async def resolve(host: str) -> list[str]:
        return next(answers)

    async def connect(addr_infos: Any, **_: Any) -> None:
        connected.extend(info[4][0] for info in addr_infos)
        raise OSError("not connected, only looked at")

    monkeypatch.setattr("crawl.web.addresses._resolve", resolve)
    monkeypatch.setattr("crawl.web.addresses._REMEMBER", remembered)
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    settings = quick(contact="me@example.org", retries=3, park_after=100)
    with Session(settings) as session:
        for _ in range(4):
            with pytest.raises(FetchError):
                session.page("http://rebinding.example/")
    assert all(_is_public(address) for address in connected)
    public = {address for turn in turns if all(map(_is_public, turn)) for address in turn}
    assert set(connected) <= public
    assert bool(connected) == all(map(_is_public, turns[0]))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433"])
def test_url_with_a_private_address_for_a_host_is_refused(host: str, server: Server) -> None:
    session = Session(quick(contact="me@example.org"))
    with session, pytest.raises(FetchError) as refused:
        session.page(f"http://{host}:{server.address[1]}/")
    assert refused.value.outcome is Outcome.FORBIDDEN_ADDRESS


def test_public_host_needs_a_contact() -> None:
    with pytest.raises(CrawlError, match="web.contact is empty"):
        addresses("1.1.1.1", contact="")
    assert addresses("1.1.1.1") == ["1.1.1.1"]


def test_redirect_to_a_public_host_needs_a_contact_before_it_is_looked_up(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"])
    site.faults["/a"] = status(302, Location="http://example.org/a")
    with (
        Session(quick(), {"site.demo": server.address}) as session,
        pytest.raises(CrawlError, match="web.contact is empty and example.org"),
    ):
        session.page("http://site.demo/a")


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(CrawlError, match="concurrency is 0"):
        CrawlSettings(concurrency=0)
    with pytest.raises(CrawlError, match="rate is 0: it must be at least 0.001"):
        CrawlSettings(rate=0)


def test_every_knob_is_a_key_of_params_with_the_bounds_of_its_definition() -> None:
    sections = {"web": params.Web, "crawl": params.Crawl}
    knobs = [item for item in fields(CrawlSettings) if item.name != "user_agent_name"]
    assert {item.metadata["section"] for item in knobs} == set(sections)
    for item in knobs:
        section = sections[item.metadata["section"]]
        assert getattr(section(), item.name) == item.default
        for bound in {"above", "least", "most"} & set(item.metadata):
            wrong = item.metadata[bound] + {"above": 0, "least": -1, "most": 1}[bound]
            with pytest.raises(ValidationError):
                section(**{item.name: wrong})
            with pytest.raises(CrawlError, match=f"{item.name} is"):
                CrawlSettings(**{item.name: wrong})


def test_second_address_is_tried_when_the_first_does_not_answer(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    site.faults["/a"] = body(b"x")
    with Session(quick(), {"site.demo": ("site.demo", server.address[1])}) as session:
        assert session.page("http://site.demo/a").body == b"x"


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(FetchError, match="10.0.0.1, which is not public"):
        addresses("tricky.example")


def test_secret_header_goes_to_the_asked_host_only(site: Site, connect: Any) -> None:
    secret = Credentials(headers={"Authorization": "Basic c2VjcmV0"})
    site.faults["/posts"] = status(302, Location="http://other.demo/there")
    site.faults["/there"] = body(b"x")
    session = connect(quick(allow_private_hosts=("site.demo", "other.demo")))
    assert session.page("http://site.demo/posts", secret).url == "http://other.demo/there"
    asked, redirected = (seen for seen in site.seen if seen.path != "/robots.txt")
    assert asked.headers["Authorization"] == "Basic c2VjcmV0"
    assert "Authorization" not in redirected.headers


def test_secret_parameter_is_shown_nowhere_and_redirected_nowhere(site: Site, connect: Any) -> None:
    secret = Credentials(query={"api_key": "s3cret"})
    site.faults["/posts?tags=a&api_key=s3cret"] = status(302, Location="/there?api_key=s3cret")
    session = connect(quick())
    with pytest.raises(FetchError) as refused:
        session.page("http://site.demo/posts?tags=a", secret)
    assert "s3cret" not in f"{refused.value} {secret!r}"
    assert not site.requests("/there?api_key=s3cret")
    site.faults["/page?api_key=s3cret"] = body(b"x")
    assert session.page("http://site.demo/page", secret).url == "http://site.demo/page"


@given(st.one_of(st.text(), st.integers(-10, 10**30).map(str), st.datetimes().map(http_date)))
@hypothesis.settings(deadline=None, derandomize=True)
def test_any_retry_after_is_seconds_or_nothing(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds < float("inf")


@given(st.integers(0, 10**6))
@hypothesis.settings(deadline=None, derandomize=True)
def test_both_forms_of_retry_after_mean_the_same(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ") == seconds
    later = http_date(datetime.now(UTC) + timedelta(seconds=seconds))
    assert parse_retry_after(later) == pytest.approx(seconds, abs=2)


@given(st.text() | st.from_regex(r"https?://[^ ]*"))
@hypothesis.settings(deadline=None, derandomize=True)
def test_any_text_has_a_web_host_or_none(url: str) -> None:
    host = web_host(url)
    assert host == "" or (host in url.lower() and "/" not in host and "@" not in host)

"""Every fault: how the post ends, and what the server saw of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crawl.fetch import Fetched, fetch
from crawl.outcomes import Outcome
from crawl.parts import Part
from crawl.posts import Post
from crawl.settings import CrawlSettings
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import (
    Fault,
    Site,
    bad_range,
    body,
    drop,
    endless,
    first,
    image_bytes,
    md5,
    png_bomb,
    retry_at,
    slow,
    slow_loris,
    status,
    truncate,
)

IMAGE = image_bytes(0)
URL = "http://site.demo/image.png"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.02)


@pytest.fixture
def fetch_one(connect: Any, tmp_path: Path) -> Any:
    """A function that fetches the post of URL, or one with other fields."""

    def fetch_post(settings: CrawlSettings, **post: Any) -> Fetched:
        wanted = Post(**({"url": URL, "source": "site", "post_id": "1"} | post))
        session = connect(settings)
        return session.run(fetch(wanted, settings, session, Part(tmp_path, "1.part")))

    return fetch_post


@dataclass(frozen=True)
class Case:
    """A fault, how the post must end, and what the server must have seen of it."""

    fault: Fault
    outcome: Outcome
    requests: int
    gap: float = 0.0  # seconds, at least, between one request and the next
    robots: str = ""
    stated: bytes = b""  # what the site's md5 is of, if it states one
    limits: dict[str, Any] = field(default_factory=dict)


OK = body(IMAGE)
BACKOFF = 0.01  # half of the shortened first one, which doubles from try to try
FAULTS = {
    "Honest": Case(OK, Outcome.OK, 1),
    "Drop": Case(first(1, drop(), OK), Outcome.OK, 2, BACKOFF),
    "DropAlways": Case(drop(), Outcome.GAVE_UP, 3, BACKOFF),
    "Truncate": Case(truncate(IMAGE, 2), Outcome.OK, 3, BACKOFF),
    "TruncateNoRange": Case(truncate(IMAGE, 1, ranges=False), Outcome.OK, 2, BACKOFF),
    "TruncateAlways": Case(truncate(IMAGE, 99), Outcome.TRUNCATED, 3, BACKOFF),
    "Delay": Case(slow(IMAGE, 0.2), Outcome.OK, 1),
    "DelayTooLong": Case(slow(IMAGE, 0.5), Outcome.GAVE_UP, 3, 0.1, limits={"timeout": 0.1}),
    "SlowLoris": Case(slow_loris(IMAGE, 0.05), Outcome.TRUNCATED, 3, 0.3, limits={"deadline": 0.3}),
    "SlowLorisHeaders": Case(
        slow_loris(IMAGE, 0.05, headers=True), Outcome.GAVE_UP, 3, 0.3, limits={"deadline": 0.3}
    ),
    "BadRange": Case(bad_range(IMAGE), Outcome.OK, 3, BACKOFF),
    "BadRange416": Case(
        first(1, truncate(IMAGE, 1), first(2, status(416), OK)), Outcome.OK, 3, BACKOFF
    ),
    "NotFound": Case(status(404), Outcome.GONE, 1),
    "Gone": Case(status(410), Outcome.GONE, 1),
    "Forbidden": Case(status(403), Outcome.GAVE_UP, 1),
    "UnaskedRange": Case(status(206), Outcome.GAVE_UP, 1),
    "Storm503": Case(status(503), Outcome.GAVE_UP, 3, BACKOFF),
    "Storm503Passes": Case(first(2, status(503), OK), Outcome.OK, 3, BACKOFF),
    "TooMany": Case(first(1, status(429), OK), Outcome.OK, 2, BACKOFF),
    "TooManyRetryAfter": Case(first(1, status(429, Retry_After="1"), OK), Outcome.OK, 2, 1.0),
    "TooManyRetryAfterDate": Case(
        first(1, retry_at(2.0), OK), Outcome.OK, 2, 0.9
    ),  # an HTTP date has whole seconds
    "TooManyRetryAfterADay": Case(
        status(429, Retry_After="86400"), Outcome.HOST_PARKED, 1
    ),  # coming back sooner would be rude
    "TooManyRetryAfterNonsense": Case(
        first(1, status(429, Retry_After="soon"), OK), Outcome.OK, 2, BACKOFF
    ),
    "HtmlInsteadOfImage": Case(
        body(b"<!doctype html><title>log in</title>", Content_Type="image/png"),
        Outcome.NOT_AN_IMAGE,
        1,
    ),
    "HeaderOnly": Case(body(IMAGE[:20]), Outcome.NOT_AN_IMAGE, 1),
    "Empty": Case(body(b""), Outcome.NOT_AN_IMAGE, 1),
    "RightMd5": Case(OK, Outcome.OK, 1, stated=IMAGE),
    "WrongMd5": Case(OK, Outcome.CHECKSUM_MISMATCH, 1, stated=b"another image"),
    "PngBomb": Case(body(png_bomb()), Outcome.TOO_LARGE, 1),
    "SmallPngBomb": Case(body(png_bomb(9_000)), Outcome.TOO_LARGE, 1),
    "OversizeAnnounced": Case(body(b"\xff\xd8\xff" + b"\0" * 200_000), Outcome.TOO_LARGE, 1),
    "EndlessBody": Case(endless(b"\xff\xd8\xff"), Outcome.TOO_LARGE, 1),
    "RedirectLoop": Case(status(302, Location="/image.png"), Outcome.GAVE_UP, 6),
    "RedirectToFile": Case(
        status(302, Location="file:///etc/passwd"), Outcome.FORBIDDEN_ADDRESS, 1
    ),
    "RedirectToPrivate": Case(
        status(302, Location="http://169.254.169.254/latest/"), Outcome.FORBIDDEN_ADDRESS, 1
    ),
    "RedirectToNonsense": Case(status(302, Location="http://[/"), Outcome.GAVE_UP, 1),
    "RedirectToBadPort": Case(
        status(302, Location="http://site.demo:99999/"), Outcome.FORBIDDEN_ADDRESS, 1
    ),
    "RedirectToUnlistedHost": Case(
        status(302, Location="http://other.demo/image.png"), Outcome.FORBIDDEN_ADDRESS, 1
    ),
    "RobotsDeny": Case(
        OK, Outcome.FORBIDDEN_BY_ROBOTS, 0, robots="User-agent: face2anime\nDisallow: /image.png\n"
    ),
    "RobotsDelay": Case(
        first(1, status(503), OK), Outcome.OK, 2, 0.28, robots="User-agent: *\nCrawl-delay: 0.3\n"
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_ends_in_its_outcome_after_so_many_requests(
    name: str, site: Site, fetch_one: Any
) -> None:
    case = FAULTS[name]
    site.faults["/image.png"] = case.fault
    if case.robots:
        site.faults["/robots.txt"] = body(case.robots.encode())
    stated = md5(case.stated) if case.stated else ""
    fetched = fetch_one(quick(**({"max_bytes": 100_000} | case.limits)), md5=stated)
    seen = [request.at for request in site.requests("/image.png")]
    assert (fetched.outcome, len(seen)) == (case.outcome, case.requests)
    assert all(later - sooner >= case.gap for sooner, later in pairwise(seen))
    if case.outcome is Outcome.OK:
        assert (fetched.data, fetched.width, fetched.height) == (IMAGE, 48, 48)
    else:
        assert fetched.data is None
        assert fetched.reason
    assert len(site.requests("/robots.txt")) == 1


def test_truncated_body_is_resumed_where_it_broke_off(site: Site, fetch_one: Any) -> None:
    site.faults["/image.png"] = truncate(IMAGE, 1)
    fetch_one(quick())
    again = site.requests("/image.png")[1].headers
    assert again["Range"] == f"bytes={len(IMAGE) // 2}-"
    assert again["If-Range"] == '"v1"'


def test_redirect_to_a_forbidden_path_is_not_followed(site: Site, fetch_one: Any) -> None:
    site.faults["/robots.txt"] = body(b"User-agent: *\nDisallow: /private/\n")
    site.faults["/image.png"] = status(301, Location="/private/image.png")
    assert fetch_one(quick()).outcome is Outcome.FORBIDDEN_BY_ROBOTS
    assert not site.requests("/private/image.png")


def test_site_without_a_readable_robots_txt_is_left_alone(site: Site, fetch_one: Any) -> None:
    site.faults["/robots.txt"] = status(500)
    fetched = fetch_one(quick(retries=0))
    assert fetched.outcome is Outcome.GAVE_UP
    assert "robots.txt cannot be read: HTTP 500" in fetched.reason
    assert not site.requests("/image.png")


def test_proxies_of_the_environment_are_not_used(
    site: Site, fetch_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    site.faults["/image.png"] = body(IMAGE)
    assert fetch_one(quick()).outcome is Outcome.OK


def test_host_is_named_and_the_crawler_names_itself(site: Site, fetch_one: Any) -> None:
    site.faults["/image.png"] = body(IMAGE)
    fetch_one(quick(contact="owner@example.org"))
    headers = site.requests("/image.png")[0].headers
    assert headers["Host"] == "site.demo"
    assert headers["User-Agent"].startswith("face2anime/")
    assert headers["User-Agent"].endswith("(+owner@example.org)")

"""Every fault: how the post ends, and what the server saw of it."""

from __future__ import annotations

from typing import Any

import pytest

from crawl.archives import ArchiveReader
from crawl.fetch import Fetched, fetch
from crawl.outcomes import Outcome
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
    slow,
    status,
    truncate,
)

IMAGE = image_bytes(0)
URL = "http://site.demo/image.png"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawl.retry._FIRST_BACKOFF", 0.02)


def fetch_one(connect: Any, settings: CrawlSettings, **post: Any) -> Fetched:
    wanted = Post(**({"url": URL, "source": "site", "post_id": "1"} | post))
    return fetch(wanted, settings, connect(settings), ArchiveReader())


FAULTS: dict[str, tuple[Fault, Outcome, int]] = {  # fault, outcome, requests
    "Honest": (body(IMAGE), Outcome.OK, 1),
    "Drop": (first(1, drop(), body(IMAGE)), Outcome.OK, 2),
    "DropAlways": (drop(), Outcome.GAVE_UP, 3),
    "Truncate": (truncate(IMAGE, 2), Outcome.OK, 3),
    "TruncateNoRange": (truncate(IMAGE, 1, ranges=False), Outcome.OK, 2),
    "TruncateAlways": (truncate(IMAGE, 99), Outcome.TRUNCATED, 3),
    "BadRange": (bad_range(IMAGE), Outcome.OK, 3),
    "BadRange416": (
        first(1, truncate(IMAGE, 1), first(2, status(416), body(IMAGE))),
        Outcome.OK,
        3,
    ),
    "NotFound": (status(404), Outcome.GONE, 1),
    "Gone": (status(410), Outcome.GONE, 1),
    "Forbidden": (status(403), Outcome.GAVE_UP, 1),
    "UnaskedRange": (status(206), Outcome.GAVE_UP, 1),
    "Storm503": (status(503), Outcome.GAVE_UP, 3),
    "TooMany": (first(1, status(429), body(IMAGE)), Outcome.OK, 2),
    "HtmlInsteadOfImage": (
        body(b"<!doctype html><title>log in</title>", Content_Type="image/png"),
        Outcome.NOT_AN_IMAGE,
        1,
    ),
    "HeaderOnly": (body(IMAGE[:20]), Outcome.NOT_AN_IMAGE, 1),
    "Empty": (body(b""), Outcome.NOT_AN_IMAGE, 1),
    "PngBomb": (body(png_bomb()), Outcome.TOO_LARGE, 1),
    "SmallPngBomb": (body(png_bomb(9_000)), Outcome.TOO_LARGE, 1),
    "OversizeAnnounced": (body(b"\xff\xd8\xff" + b"\0" * 200_000), Outcome.TOO_LARGE, 1),
    "EndlessBody": (endless(b"\xff\xd8\xff"), Outcome.TOO_LARGE, 1),
    "RedirectLoop": (status(302, Location="/image.png"), Outcome.GAVE_UP, 6),
    "RedirectToFile": (status(302, Location="file:///etc/passwd"), Outcome.FORBIDDEN_ADDRESS, 1),
    "RedirectToPrivate": (
        status(302, Location="http://169.254.169.254/latest/"),
        Outcome.FORBIDDEN_ADDRESS,
        1,
    ),
    "RedirectToNonsense": (status(302, Location="http://[/"), Outcome.GAVE_UP, 1),
    "RedirectToBadPort": (status(302, Location="http://site.demo:99999/"), Outcome.GAVE_UP, 1),
    "RedirectToUnlistedHost": (
        status(302, Location="http://other.demo/image.png"),
        Outcome.FORBIDDEN_ADDRESS,
        1,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_ends_in_its_outcome_after_so_many_requests(
    name: str, site: Site, connect: Any
) -> None:
    site.faults["/image.png"], outcome, requests = FAULTS[name]
    fetched = fetch_one(connect, quick(max_bytes=100_000))
    assert (fetched.outcome, len(site.requests("/image.png"))) == (outcome, requests)
    if outcome is Outcome.OK:
        assert (fetched.data, fetched.width, fetched.height) == (IMAGE, 48, 48)
    else:
        assert fetched.data is None
        assert fetched.reason
    assert len(site.requests("/robots.txt")) == 1


def test_truncated_body_is_resumed_where_it_broke_off(site: Site, connect: Any) -> None:
    site.faults["/image.png"] = truncate(IMAGE, 1)
    fetch_one(connect, quick())
    again = site.requests("/image.png")[1].headers
    assert again["Range"] == f"bytes={len(IMAGE) // 2}-"
    assert again["If-Range"] == '"v1"'


@pytest.mark.parametrize(("stated", "outcome"), [(IMAGE, "ok"), (b"x", "checksum_mismatch")])
def test_md5_of_the_site_is_checked(stated: bytes, outcome: str, site: Site, connect: Any) -> None:
    site.faults["/image.png"] = body(IMAGE)
    assert fetch_one(connect, quick(), md5=md5(stated)).outcome == outcome
    assert len(site.requests("/image.png")) == 1


def test_retry_after_is_waited_out(site: Site, connect: Any) -> None:
    site.faults["/image.png"] = first(1, status(429, Retry_After="1"), body(IMAGE))
    assert fetch_one(connect, quick()).outcome is Outcome.OK
    one, two = (seen.at for seen in site.requests("/image.png"))
    assert two - one >= 1.0


def test_retry_after_is_capped(site: Site, connect: Any) -> None:
    site.faults["/image.png"] = first(1, status(503, Retry_After="86400"), body(IMAGE))
    assert fetch_one(connect, quick(retry_after_max=1)).outcome is Outcome.OK


def test_silent_server_is_given_up(site: Site, connect: Any) -> None:
    site.faults["/robots.txt"] = body(b"")
    site.faults["/image.png"] = slow(IMAGE, 0.5)
    fetched = fetch_one(connect, quick(timeout=0.1, retries=1))
    assert fetched.outcome is Outcome.GAVE_UP
    assert len(site.requests("/image.png")) == 2


def test_nothing_forbidden_by_robots_is_asked_for(site: Site, connect: Any) -> None:
    site.faults["/robots.txt"] = body(b"User-agent: face2anime\nDisallow: /image.png\n")
    site.faults["/image.png"] = body(IMAGE)
    assert fetch_one(connect, quick()).outcome is Outcome.FORBIDDEN_BY_ROBOTS
    assert [seen.path for seen in site.seen] == ["/robots.txt"]


def test_redirect_to_a_forbidden_path_is_not_followed(site: Site, connect: Any) -> None:
    site.faults["/robots.txt"] = body(b"User-agent: *\nDisallow: /private/\n")
    site.faults["/image.png"] = status(301, Location="/private/image.png")
    assert fetch_one(connect, quick()).outcome is Outcome.FORBIDDEN_BY_ROBOTS
    assert not site.requests("/private/image.png")


def test_site_without_a_readable_robots_txt_is_left_alone(site: Site, connect: Any) -> None:
    site.faults["/robots.txt"] = status(500)
    fetched = fetch_one(connect, quick(retries=0))
    assert fetched.outcome is Outcome.GAVE_UP
    assert "robots.txt cannot be read: HTTP 500" in fetched.reason
    assert not site.requests("/image.png")


def test_proxies_of_the_environment_are_not_used(
    site: Site, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    site.faults["/image.png"] = body(IMAGE)
    assert fetch_one(connect, quick()).outcome is Outcome.OK


def test_host_is_named_and_the_crawler_names_itself(site: Site, connect: Any) -> None:
    site.faults["/image.png"] = body(IMAGE)
    fetch_one(connect, quick(contact="owner@example.org"))
    headers = site.requests("/image.png")[0].headers
    assert headers["Host"] == "site.demo"
    assert headers["User-Agent"].startswith("face2anime/")
    assert headers["User-Agent"].endswith("(+owner@example.org)")

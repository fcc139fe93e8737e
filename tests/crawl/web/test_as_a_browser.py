"""What every browser does with an image: decodes it, names the page, looks at its type first."""

from __future__ import annotations

import gzip
import zlib
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest

from crawl.fetch import Fetched, fetch
from crawl.outcomes import Outcome, grouped
from crawl.parts import Part
from crawl.posts import Post
from crawl.sources import referrers
from crawl.web import retry
from crawl.web.encoding import decoded
from crawl.web.urls import referer
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Fault, Site, body, first, image_bytes, md5, status, truncate

IMAGE = image_bytes(0)
squeezed = partial(gzip.compress, mtime=0)  # with the time in it, each worker has other test names
URL = "http://site.demo/image.png"


@pytest.fixture
def fetch_one(connect: Any, tmp_path: Path) -> Any:
    def fetch_post(page: str = "", stated: str = "", **settings: Any) -> Fetched:
        hosts = ("site.demo", "other.demo")
        asked = quick(**({"retries": 1, "allow_private_hosts": hosts} | settings))
        session = connect(asked)
        post = Post(url=URL, source="site", post_id="1", md5=stated)
        return session.run(fetch(post, asked, session, Part(tmp_path, "1.part"), page))

    return fetch_post


def raw_deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


ENCODED = {
    "gzip": squeezed(IMAGE),
    "x-gzip": squeezed(IMAGE),
    "deflate": zlib.compress(IMAGE),
    "Deflate ": raw_deflate(IMAGE),
    "gzip, deflate": zlib.compress(squeezed(IMAGE)),
    "identity": IMAGE,
    "": IMAGE,
    "br": IMAGE,  # a server that names what it does not send
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_body_is_decoded_before_it_is_looked_at(
    encoding: str, site: Site, fetch_one: Any
) -> None:
    site.faults["/image.png"] = body(ENCODED[encoding], Content_Encoding=encoding)
    fetched = fetch_one(stated=md5(IMAGE))
    assert (fetched.outcome, fetched.data) == (Outcome.OK, IMAGE), fetched.reason


@pytest.mark.parametrize(
    ("data", "encoding", "outcome", "words"),
    [
        (squeezed(IMAGE)[:-40], "gzip", Outcome.NOT_AN_IMAGE, "cut short"),
        (b"\x1f\x8b" + bytes(40), "gzip", Outcome.NOT_AN_IMAGE, "damaged"),
        (b"???", "br", Outcome.NOT_AN_IMAGE, "Content-Encoding 'br'"),
        (squeezed(bytes(10**7)), "gzip", Outcome.TOO_LARGE, "max_bytes"),
        (squeezed(squeezed(bytes(10**7))), "gzip, gzip", Outcome.TOO_LARGE, "max_bytes"),
    ],
)
def test_a_body_that_does_not_decode_is_one_counted_post(
    data: bytes, encoding: str, outcome: Outcome, words: str, site: Site, fetch_one: Any
) -> None:
    site.faults["/image.png"] = body(data, Content_Encoding=encoding)
    fetched = fetch_one(max_bytes=100_000)
    assert fetched.outcome is outcome and words in fetched.reason
    assert len(site.requests("/image.png")) == 1


def test_no_more_is_decoded_than_is_asked_for() -> None:
    assert len(decoded(zlib.compress(bytes(10**7)), "deflate", 1000)) == 1001


def test_a_broken_off_body_is_gone_on_with_in_its_encoding(site: Site, fetch_one: Any) -> None:
    packed = squeezed(IMAGE)
    inner = truncate(packed, 1)

    def answer(handler: Any, before: int) -> None:
        send = handler.end_headers
        handler.end_headers = lambda: (handler.send_header("Content-Encoding", "gzip"), send())
        inner(handler, before)
        handler.end_headers = send

    site.faults["/image.png"] = answer
    assert fetch_one().data == IMAGE
    assert "Range" in site.requests("/image.png")[1].headers


def test_html_is_no_other_image(site: Site, fetch_one: Any) -> None:
    site.faults["/image.png"] = body(b"<!doctype html><title>No hot links</title>")
    fetched = fetch_one(stated=md5(IMAGE))
    assert fetched.outcome is Outcome.NOT_AN_IMAGE and "doctype" in fetched.reason


def answered(code: int, data: bytes, **headers: str) -> Fault:
    """Answers with ``code`` and ``data``."""

    def answer(handler: Any, before: int) -> None:
        send = handler.send_response
        handler.send_response = lambda *_: send(code)
        body(data, **headers)(handler, before)
        handler.send_response = send

    return answer


WHOLE = f"bytes 0-{len(IMAGE) - 1}/{len(IMAGE)}"


@pytest.mark.parametrize(
    "answer", [answered(203, IMAGE), answered(206, IMAGE, Content_Range=WHOLE)]
)
def test_a_whole_image_is_taken_whatever_the_status_calls_it(
    answer: Fault, site: Site, fetch_one: Any
) -> None:
    site.faults["/image.png"] = answer
    assert fetch_one(stated=md5(IMAGE)).outcome is Outcome.OK


def test_a_part_that_nobody_asked_for_is_not_taken_for_the_whole(
    site: Site, fetch_one: Any
) -> None:
    site.faults["/image.png"] = answered(206, IMAGE[:100], Content_Range=f"bytes 0-99/{len(IMAGE)}")
    assert fetch_one(retries=0).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("code", [408, 425, 429, 503, 520, 524, 529])
def test_what_may_pass_is_asked_again(
    code: int, site: Site, fetch_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.001)
    site.faults["/image.png"] = first(1, status(code), body(IMAGE))
    assert fetch_one().outcome is Outcome.OK


SAID = {  # what a site answers, its encoding: what the line repeats
    b'{"Message": "no"}': ("", "no"),
    b'{"success": false, "msg": "no"}': ("", "no"),
    b'\xef\xbb\xbf{"message": "no"}': ("", "no"),
    '{"message": "désolé"}'.encode("utf-16"): ("", "désolé"),
    squeezed(b'{"message": "no"}'): ("gzip", "no"),
    b"<?xml version='1.0'?><Error><Code>Denied</Code><Message>no</Message></Error>": ("", "no"),
    b"<title>no</title>": ("", "no"),
}


@pytest.mark.parametrize("data", SAID)
def test_why_a_site_refuses_is_read_as_it_is_sent(
    data: bytes, site: Site, fetch_one: Any, recwarn: pytest.WarningsRecorder
) -> None:
    encoding, words = SAID[data]
    headers = {"Content_Encoding": encoding} if encoding else {}
    site.faults["/image.png"] = answered(400, data, **headers)
    assert fetch_one().reason == f"HTTP 400: {words}" and not recwarn.list


def test_what_is_no_http_is_told_in_one_line(
    site: Site, fetch_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.001)
    site.faults["/robots.txt"] = body(b"")

    def answer(handler: Any, before: int) -> None:
        handler.wfile.write(b"\x1a\n\r\n\x00IEND\n")
        handler.close_connection = True

    site.faults["/image.png"] = answer
    reason = fetch_one().reason
    assert reason == "what it sends is no HTTP: Bad status line, tried 2 times"


def test_an_empty_body_is_called_so(site: Site, fetch_one: Any) -> None:
    site.faults["/image.png"] = body(b"")
    assert fetch_one().reason == "it is empty"


REFERERS = [
    ("http://a.demo/posts/1?q=x#top", "http://a.demo/i.png", "http://a.demo/posts/1?q=x"),
    ("http://a.demo/posts/1", "http://cdn.demo/i.png", "http://a.demo/"),
    ("https://a.demo/posts/1", "http://a.demo/i.png", ""),
    ("http://a.demo/posts/1", "https://a.demo/i.png", "http://a.demo/"),
    ("http://u:secret@a.demo/posts/1", "http://a.demo/i.png", "http://a.demo/posts/1"),
    ("http://a.demo:8080", "http://a.demo:8080/i.png", "http://a.demo:8080/"),
    ("http://a.demo/é ü\r\nX: y", "http://a.demo/i.png", "http://a.demo/%C3%A9%20%C3%BCX:%20y"),
    ("", "http://a.demo/i.png", ""),
    ("file:/etc/passwd", "http://a.demo/i.png", ""),
    ("http://[", "http://a.demo/i.png", ""),
]


@pytest.mark.parametrize(("page", "url", "sent"), REFERERS)
def test_a_referer_is_what_a_browser_would_send(page: str, url: str, sent: str) -> None:
    assert referer(page, url) == sent


def test_hot_link_protection_sees_the_posts_page(site: Site, fetch_one: Any) -> None:
    def guarded(handler: Any, before: int) -> None:
        own = handler.headers.get("Referer") == "http://site.demo/posts/1"
        (body(IMAGE) if own else body(b"<html>No hot links"))(handler, before)

    site.faults["/image.png"] = guarded
    assert fetch_one("http://site.demo/posts/1").outcome is Outcome.OK


def test_another_host_is_told_the_site_alone(site: Site, fetch_one: Any) -> None:
    site.faults["/image.png"] = status(302, Location="http://other.demo/there.png")
    site.faults["/there.png"] = body(IMAGE)
    fetch_one("http://site.demo/posts/1?q=private")
    (there,) = site.requests("/there.png")
    assert there.headers["Referer"] == "http://site.demo/"
    assert all("Referer" not in seen.headers for seen in site.requests("/robots.txt"))


def test_every_kind_of_site_knows_the_page_of_a_post() -> None:
    pages = {
        "danbooru": "http://site.demo/posts/7",
        "gelbooru": "http://site.demo/index.php?page=post&s=view&id=7",
        "moebooru": "http://site.demo/post/show/7",
        "zerochan": "http://site.demo/7",
        "gallery": "http://site.demo/",
    }
    page_of = referrers([{"name": k, "type": k, "url": "http://site.demo/"} for k in pages])
    for kind, page in pages.items():
        assert page_of(Post(url=URL, source=kind, post_id="7")) == page
    assert page_of(Post(url=URL, source="taken out since", post_id="7")) == ""


def test_reasons_that_differ_in_numbers_are_of_one_kind() -> None:
    reasons = [f"truncated: ended after {n:,} of 70,{n} bytes" for n in range(100, 140)]
    reasons += [f"gave_up: HTTP 403, http://a.demo/{n}" for n in range(7)]
    reasons += [f"checksum_mismatch: md5 is {n:032x}, the site says {n + 1:032x}" for n in range(5)]
    reasons += ["gave_up: HTTP 500", "not_an_image: starts with b'<html>'"]
    kinds = grouped(reasons)
    assert [times for times, _ in kinds] == [40, 7, 5, 1, 1]
    assert kinds[0][1] == reasons[0] and kinds[1][1] == reasons[40]


@pytest.mark.parametrize("said", ["", " \n", "Bad status line:\n\n  b'x'"])
def test_an_answer_that_is_no_http_has_a_reason_whatever_the_client_says_of_it(said: str) -> None:
    error = aiohttp.ClientResponseError(Mock(), (), status=400, message=said)
    words = retry._summary(error).removeprefix("what it sends is no HTTP: ")
    assert words == ("Bad status line" if said.strip() else "400")

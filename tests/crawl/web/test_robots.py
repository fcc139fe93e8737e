"""robots.txt as sites have it: RFC 9309, and what editors and servers make of it."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from crawl.outcomes import FetchError, Outcome
from crawl.web.robots import MAX_BYTES, text_of
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Fault, Site, body, drop, first, status

DENY = "User-agent: *\nDisallow: /private\n"
RATE = DENY + "Request-rate: 0/1\n"
DELAY = DENY + "Crawl-delay: nan\n"
HTML = f"<!doctype html>\n<html><title>Not here</title><pre>\n{DENY}</pre>"
LONG = DENY + "# much ado\n" * 1_000_000
CUT = DENY + "#" * (MAX_BYTES - len(DENY) - len("\nDisallow: /")) + "\nDisallow: /pictures/"

# name: (answer, may /private be asked for, may /a be asked for)
CASES: dict[str, tuple[Fault, bool, bool]] = {
    "plain": (body(DENY.encode()), False, True),
    "byte order mark": (body(DENY.encode("utf-8-sig")), False, True),
    "UTF-16": (body(DENY.encode("utf-16")), False, True),
    "UTF-16 BE with a mark": (body(b"\xfe\xff" + DENY.encode("utf-16-be")), False, True),
    "UTF-16 without a mark": (body(DENY.encode("utf-16-le")), False, True),
    "UTF-32": (body(DENY.encode("utf-32")), False, True),
    "two files in one, each with a mark": (
        body(b"\xef\xbb\xbfUser-agent: x\nDisallow: /x\n" + DENY.encode("utf-8-sig")),
        False,
        True,
    ),
    "Latin letters": (body(DENY.encode() + "# façade".encode("latin-1")), False, True),
    "CRLF": (body(DENY.replace("\n", "\r\n").encode()), False, True),
    "CR": (body(DENY.replace("\n", "\r").encode()), False, True),
    "no slash": (body(b"User-agent: *\nDisallow: private\n"), False, True),
    "a whole address": (body(b"User-agent: *\nDisallow: http://site.demo/private\n"), False, True),
    "quotes": (body(b"User-agent: \"*\"\nDisallow: '/private'\n"), False, True),
    "characters that nobody sees": (
        body("\u200bUser-agent: *\0\nDisallow: /private\u200b\n".encode()),
        False,
        True,
    ),
    "a mark in another encoding": (body(f"\u00ef\u00bb\u00bf{DENY}".encode()), False, True),
    "wide colons": (body(DENY.replace(":", "\uff1a").encode()), False, True),
    "HTML with one line": (body(f"<pre>{DENY}</pre>".replace("\n", "<br>").encode()), False, True),
    "empty lines within a group": (
        body(b"User-agent: *\n\nDisallow:\n\nDisallow: /private\n"),
        False,
        True,
    ),
    "nothing forbidden": (body(b"User-agent: *\nDisallow:\n# Disallow: /private\n"), True, True),
    "an address that is allowed": (
        body(b"User-agent: *\nDisallow: /\nAllow: /a\nAllow: private\n"),
        False,
        True,
    ),
    "odd case and spaces": (body(b" USER-AGENT :  *\n\tdisallow:/private  # no\n"), False, True),
    "our name with a version": (
        body(b"User-agent: Face2Anime/9.9 (a bot)\nDisallow: /private\n"),
        False,
        True,
    ),
    "our group before the general one": (
        body(b"User-agent: *\nDisallow: /\n\nUser-agent: face2anime\nDisallow: /private\n"),
        False,
        True,
    ),
    "the longer rule counts": (
        body(b"User-agent: *\nDisallow: /\nAllow: /a\n"),
        False,
        True,
    ),
    "compressed": (
        body(gzip.compress(DENY.encode(), mtime=0), Content_Encoding="gzip"),
        False,
        True,
    ),
    "HTML in its place": (body(b"<html><body>Welcome</body></html>"), True, True),
    "HTML around it": (body(HTML.encode()), False, True),
    "empty": (body(b""), True, True),
    "only a mark": (body(b"\xef\xbb\xbf"), True, True),
    "no content": (status(204), True, True),
    "noise": (body(bytes(range(256)) * 40), True, True),
    "10 MB": (body(LONG.encode()), False, True),
    "cut in a rule": (body(CUT.encode()), False, True),
    "a rate of nothing": (
        body(b"User-agent: *\nRequest-rate: 0/1\nDisallow: /private"),
        False,
        True,
    ),
    "a delay of nothing": (
        body(b"User-agent: *\nCrawl-delay: nan\nDisallow: /private"),
        False,
        True,
    ),
    "a delay of a month": (body(b"User-agent: *\nCrawl-delay: 2592000"), False, False),
    "401": (status(401), True, True),
    "403": (status(403), True, True),
    "404": (status(404), True, True),
    "410": (status(410), True, True),
    "429 for good": (status(429), False, False),
    "500": (status(500), False, False),
    "503 that passes": (first(1, status(503), body(DENY.encode())), False, True),
    "no answer": (drop(), False, False),
    "moved": (status(301, Location="/rules.txt"), False, True),
    "moved to another host": (status(302, Location="http://other.demo/rules.txt"), False, True),
    "moved in circles": (status(302, Location="/robots.txt"), False, False),
    "moved to a private address": (status(302, Location="http://169.254.1.1/"), False, False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_robots_txt_forbids(
    name: str, site: Site, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.01)
    answer, private, public = CASES[name]
    site.faults |= {"/robots.txt": answer, "/private": body(b"x"), "/a": body(b"x")}
    site.faults["/rules.txt"] = body(DENY.encode())
    session = connect(quick(retries=1, allow_private_hosts=("site.demo", "other.demo")))
    for path, allowed in {"/private": private, "/a": public}.items():
        if allowed:
            assert session.page(f"http://site.demo{path}").body == b"x"
        else:
            with pytest.raises(FetchError) as refused:
                session.page(f"http://site.demo{path}")
            assert "robots.txt" in refused.value.reason
            assert not site.requests(path)
    if private != public:
        with pytest.raises(FetchError) as refused:
            session.page("http://site.demo/private")
        assert refused.value.outcome is Outcome.FORBIDDEN_BY_ROBOTS


def test_no_more_than_the_first_part_is_looked_at() -> None:
    assert len(text_of(LONG.encode())) <= MAX_BYTES
    assert not text_of(CUT.encode()).rstrip().endswith("/")


@pytest.mark.parametrize(
    "part", [b"\n", b" ", b"<p ", b"User-agent: ", b"Disallow:", b"'", b"http://"]
)
def test_any_text_is_read_to_its_end(part: bytes) -> None:
    """Where the time grew with the square of the length, this would take minutes."""
    many = part * (MAX_BYTES // len(part))
    for text in (many, b"Disallow: " + many + b"x"):
        assert len(text_of(text)) <= 2 * MAX_BYTES

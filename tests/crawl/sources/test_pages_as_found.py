"""HTML as it is found: read as a browser reads it, and what is no gallery is named."""

from __future__ import annotations

from typing import Any

import pytest

from crawl.sources import html
from crawl.sources.base import parse_source
from crawl.sources.listing import Listing
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site, body, image_bytes, status
from tests.crawl.sources.boorus import SITE

GALLERY = {"name": "gallery", "type": "gallery", "url": f"{SITE}/", "rating": ""}
ARTICLES = "".join(f'<article><img src="/{n}.png"></article>' for n in range(3))


def listing(
    page: str | bytes, site: Site, connect: Any, rating: str = "", **headers: str
) -> Listing:
    data = page.encode() if isinstance(page, str) else page
    site.faults["/"] = body(data, **headers)
    return parse_source(GALLERY | {"rating": rating}).discover(connect(quick()))


def paths(found: Listing) -> list[str]:
    return [post.url.removeprefix(SITE) for post in found.posts]


def many(element: str) -> str:
    return "".join(f"<article>{element.replace('N', str(n))}</article>" for n in range(3))


IMAGES = {
    '<img src="/blank.gif" data-echo="/N.png">': "/{}.png",
    '<img src="/blank.gif" data-src-large="/N.png?v=1">': "/{}.png?v=1",
    '<img src="/blank.gif" data-page="/N.html" data-full="/N.jpg">': "/{}.jpg",
    '<img src="/N.png" data-full="/largeN.png">': "/{}.png",
    '<img class="lazy" src="/blank.gif"><noscript><img src="/N.png"></noscript>': "/{}.png",
    '<img src="/i.php?a=1&copy=N">': "/i.php?a=1&copy={}",
    '<img src="/i.php?a=1&section=N&amp;lt=2">': "/i.php?a=1&section={}&lt=2",
    '<img srcset="/N.png 400w 300h, /N-2.png 800w 600h">': "/{}-2.png",
}


@pytest.mark.parametrize("element", IMAGES)
def test_the_image_that_a_browser_would_show_is_listed(
    element: str, site: Site, connect: Any
) -> None:
    found = listing(many(element), site, connect)
    assert paths(found) == [IMAGES[element].format(n) for n in range(3)]


BASES = {
    '<base href="/deep/">': "/deep/",
    '<base target="_top"><base href="/deep/">': "/deep/",
    '<base href="data:,x">': "/",
    '<base href="javascript:void(0)">': "/",
    '<base href="">': "/",
}


@pytest.mark.parametrize("base", BASES)
def test_links_are_relative_to_a_base_that_can_be_one(base: str, site: Site, connect: Any) -> None:
    found = listing(base + many('<img src="N.png">'), site, connect)
    assert paths(found) == [f"{BASES[base]}{n}.png" for n in range(3)]


TAG = '<article><img src="/1.png"><i class="tag">{}</i></article>'
ENCODED = {  # letters, and how they are sent: encoding, header, what stands before
    "UTF-8": ("笑顔", "utf-8", "", ""),
    "Latin 1 is Windows'": ("it\u2019s", "cp1252", "text/html; charset=ISO-8859-1", ""),
    "GB 2312 is GB 18030": ("镕", "gb18030", "", "<meta charset=gb2312>"),
    "Shift JIS is Windows'": ("①", "cp932", "text/html; charset=Shift_JIS", ""),
    "a mark before a header": ("笑顔", "utf-8-sig", "text/html; charset=ISO-8859-1", ""),
    "UTF-16": ("笑顔", "utf-16", "", ""),
    "no encoding that there is": ("笑顔", "utf-8", "text/html; charset=utf8mb4", ""),
}


@pytest.mark.parametrize("name", ENCODED)
def test_a_page_is_in_the_encoding_that_browsers_take(name: str, site: Site, connect: Any) -> None:
    letters, encoding, header, before = ENCODED[name]
    page = (before + TAG.format(letters)).encode(encoding)
    found = listing(page, site, connect, Content_Type=header or "text/html")
    assert [post.tags for post in found.posts] == [letters]


@pytest.mark.parametrize(
    "tags", ["smile, ecchi", "<ul><li>smile<li>ecchi</ul>", "<a>smile</a> <a>Theme:Ecchi</a>"]
)
def test_an_adult_tag_among_others_in_one_element_is_known(
    tags: str, site: Site, connect: Any
) -> None:
    assert listing(TAG.format(tags), site, connect).verdicts["dropped_rating"] == 1


@pytest.mark.parametrize(
    ("stated", "listed"),
    [("General", 1), ("Rating: General", 1), ("rating:s", 1), ("Explicit", 0), ("Rating: X", 0)],
)
def test_a_rating_is_told_with_its_name_or_without(
    stated: str, listed: int, site: Site, connect: Any
) -> None:
    page = f'<article><img src="/1.png"><i class="rating">{stated}</i></article>'
    assert listing(page, site, connect, ".rating").verdicts["listed"] == listed


def test_a_page_that_leads_on_by_itself_is_followed(site: Site, connect: Any) -> None:
    site.faults["/real"] = body(ARTICLES.encode())
    page = '<meta http-equiv="Refresh" content="0; URL=\'/real\'">'
    assert len(listing(page, site, connect).posts) == 3
    for itself in ("5", "30; url=/", "0;url=#top"):
        page = f'<meta http-equiv="refresh" content="{itself}">'
        found = listing(page, site, connect)
        assert found.stopped and "matches nothing" in str(found.stopped)
        assert [seen.path for seen in site.seen].count("/") <= 4


LOGIN = b"<title>Log in</title><form><input type=password></form>"


def test_a_login_in_the_place_of_a_page_is_no_end(site: Site, connect: Any) -> None:
    site.faults["/?p=2"] = status(302, Location="/login")
    site.faults["/login"] = body(LOGIN)
    found = listing(f'{ARTICLES}<a rel="next" href="/?p=2">', site, connect)
    assert len(found.posts) == 3
    assert "?p=2: leads to http://site.demo/login: it asks for a login" in str(found.stopped)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (LOGIN, "matches nothing on it: it asks for a login"),
        (b"<title>Just a\nmoment</title>", "it is called 'Just a moment'"),
        (image_bytes(0), "matches nothing on it"),
    ],
)
def test_what_is_no_gallery_is_named(page: bytes, words: str, site: Site, connect: Any) -> None:
    found = listing(page, site, connect)
    assert found.stopped and str(found.stopped).endswith(words)


@pytest.mark.parametrize("code", [204, 404, 410])
def test_a_last_page_of_nothing_is_the_end(code: int, site: Site, connect: Any) -> None:
    site.faults["/?p=2"] = status(code)
    found = listing(f'{ARTICLES}<a rel="next" href="/?p=2">', site, connect)
    assert len(found.posts) == 3 and not found.stopped and "taken for the end" in found.notes[0]


def test_items_without_any_image_are_told(site: Site, connect: Any) -> None:
    found = listing(many('<video src="/N.mp4"></video>'), site, connect)
    assert "none of 3 items names an image: correct key 'image'" in found.notes[0]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip"])
def test_a_page_that_does_not_decode_is_told_in_one_line(
    encoding: str, site: Site, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.001)
    found = listing(b"???", site, connect, Content_Encoding=encoding)
    reason = str(found.stopped)
    assert "Content-Encoding that nobody asked for" in reason
    assert "\n" not in reason and "install" not in reason


def test_letters_in_a_text_stay_letters() -> None:
    assert html.parsed(b"<p>a &amp; b &copy; c &lt;d&gt;").get_text() == "a & b \u00a9 c <d>"

"""What CSS selectors find in a page, read as a browser would read it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector, UnicodeDammit

from crawl.web.urls import absolute, web_host

# Where pages put the address of an image that a script loads once it is looked at.
_LAZY = ("data-lazy-src", "data-src", "data-original", "data-lazy", "data-url")
_SETS = ("data-lazy-srcset", "data-srcset", "srcset")
# What browsers read in the place of what a page states (https://encoding.spec.whatwg.org/#labels).
_MEANT = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "ascii", "us-ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
}
_PARAMETER = re.compile(r"&(?=[A-Za-z]\w*=)")  # of an address, and no letter
_REFRESH = re.compile(r"(?is)\s*[\d.]+\s*[;,]\s*(?:url\s*=)?\s*[\"']?(.+?)[\"']?\s*")
_LONGEST = 2000  # characters of an address
_PICTURE = re.compile(r"(?i)[^?#]+\.(jpe?g|png|gif|webp|bmp|avif)([?#].*)?")
logging.getLogger("bs4.dammit").setLevel(logging.ERROR)  # of pages that are no text
_NO_LINK = re.compile(r"(?i)\s*(#|data:|javascript:|about:|blob:|mailto:|$)")
_CANDIDATE = re.compile(r"\s*,*\s*(\S*[^\s,])(?:\s+(\d+(?:\.\d+)?)[wx])?[^,]*,?")  # of a srcset


def parsed(body: bytes, charset: str = "") -> BeautifulSoup:
    """A page, in the encoding that its byte order mark, ``charset`` of its header or it itself
    states, as browsers mean these names; a bare ``&section=1`` in an address stays as it is.
    """
    plain, mark = EncodingDetector.strip_byte_order_mark(body)
    stated = EncodingDetector.find_declared_encoding(plain, is_html=True) or ""
    wanted = [mark] if mark else [name for name in (charset, stated) if name]
    known = [_MEANT.get(name.lower(), name) for name in wanted]
    if not plain.strip():
        return BeautifulSoup("", "html.parser")
    text = UnicodeDammit(plain, known_definite_encodings=known, is_html=True).unicode_markup
    return BeautifulSoup(_PARAMETER.sub("&amp;", text or ""), "html.parser")


def split(selector: str) -> tuple[str, str]:
    """("a.tag", "title") of ``a.tag@title``; the attribute is empty when none is named."""
    match = re.fullmatch(r"(.+?)@([\w-]+)", selector)
    return (match[1], match[2]) if match else (selector, "")


def base(page: str, soup: BeautifulSoup) -> str:
    """What the links of ``page`` are relative to: its own address unless it names another."""
    found = soup.select_one("base[href]")
    stated = absolute(page, str(found["href"])) if found else page
    return stated if web_host(stated) else page


def refresh(page: str, soup: BeautifulSoup) -> str:
    """Where ``page`` leads on by itself (``<meta http-equiv=refresh>``); empty when it does not."""
    for found in soup.select("meta[http-equiv][content]"):
        if str(found["http-equiv"]).lower() == "refresh":
            onward = _REFRESH.fullmatch(str(found["content"])[:_LONGEST])
            return absolute(page, onward[1]) if onward else ""
    return ""


def shown(soup: BeautifulSoup) -> str:
    """What a page without what is looked for calls itself, for a message; or nothing."""
    if soup.select_one("input[type=password]"):
        return ": it asks for a login"
    title = soup.title.get_text(" ") if soup.title else ""
    return f": it is called '{' '.join(title.split())[:80]}'" if title.strip() else ""


def values(scope: Tag, selector: str, *, entries: bool = False) -> list[str]:
    """Texts, or values of the named attribute, of all that ``selector`` matches; no empty ones.
    With ``entries`` those of a list stand for it.
    """
    if not selector:
        return []
    css, attribute = split(selector)
    matches: list[Tag] = list(scope.select(css))
    if entries and not attribute:
        matches = [entry for match in matches for entry in _entries(match)]
    texts = [str(m.get(attribute, "")) if attribute else m.get_text(" ") for m in matches]
    return [text.strip() for text in texts if text.strip()]


def _entries(match: Tag) -> list[Tag]:
    """An element, or of a list its entries."""
    entries = match.select("li, a")
    return [entry for entry in entries if not entry.select("li, a")] or [match]


def link(page: str, scope: Tag, selector: str) -> str:
    """Absolute URL of the first link that ``selector`` matches; empty when there is none."""
    return next(iter(links(page, scope, selector)), "")


def links(page: str, scope: Tag, selector: str) -> list[str]:
    """Absolute URLs of all that ``selector`` matches, the likeliest first; no ``data:`` and the
    like. An element may have several: what a script would load, what a browser shows, and the
    largest of a ``srcset``.
    """
    if not selector:
        return []
    css, attribute = split(selector)
    found = (url for element in scope.select(css) for url in _of(element, attribute))
    urls = (absolute(page, url) for url in found if not _NO_LINK.match(url))
    return list(dict.fromkeys(url for url in urls if url))


def placeholders(links: list[list[str]]) -> set[str]:
    """URLs that at least half of a page's items name, most of them beside others of their own: the
    picture that stands there until a script has loaded the right one.
    """
    times = Counter(url for found in links for url in found)
    shared = {url for url, n in times.items() if n > 1 and n * 2 >= len(links)}
    beside = Counter(url for found in links if set(found) - shared for url in found)
    return {url for url in shared if beside[url] * 2 > times[url]}


def _of(element: Tag, attribute: str) -> Iterator[str]:
    if attribute:
        value = str(element.get(attribute) or "")
        yield from _largest(value) if attribute in _SETS else [value]
        return
    for name in ("href", *_LAZY, "src"):
        yield str(element.get(name) or "")
    for name in _SETS:
        yield from _largest(str(element.get(name) or ""))
    for name in element.attrs:  # of a script of their own
        if name.startswith("data-") and _PICTURE.fullmatch(str(element[name]).strip()):
            yield str(element[name])


def _largest(candidates: str) -> list[str]:
    """The URLs of a ``srcset``, the widest first."""
    found = [(float(size or 1), url) for url, size in _CANDIDATE.findall(candidates[:10_000])]
    return [url for _, url in sorted(found, key=lambda pair: -pair[0])]

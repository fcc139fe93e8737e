"""What CSS selectors find in a page, read as a browser would read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

from crawl.web.urls import absolute

# Where pages put the address of an image that a script loads once it is looked at.
_LAZY = ("data-lazy-src", "data-src", "data-original", "data-lazy", "data-url")
_SETS = ("data-lazy-srcset", "data-srcset", "srcset")
_NO_LINK = re.compile(r"(?i)\s*(#|data:|javascript:|about:|blob:|mailto:|$)")
_CANDIDATE = re.compile(r"\s*,*\s*(\S*[^\s,])(?:\s+(\d+(?:\.\d+)?)[wx])?[^,]*,?")  # of a srcset


def split(selector: str) -> tuple[str, str]:
    """("a.tag", "title") of ``a.tag@title``; the attribute is empty when none is named."""
    match = re.fullmatch(r"(.+?)@([\w-]+)", selector)
    return (match[1], match[2]) if match else (selector, "")


def base(page: str, soup: BeautifulSoup) -> str:
    """What the links of ``page`` are relative to: its own address unless it names another."""
    found = soup.select_one("base[href]")
    return absolute(page, str(found["href"])) or page if found else page


def values(scope: Tag, selector: str) -> list[str]:
    """Texts, or values of the named attribute, of all that ``selector`` matches; no empty ones."""
    if not selector:
        return []
    css, attribute = split(selector)
    matches = scope.select(css)
    texts = [str(m.get(attribute, "")) if attribute else m.get_text(" ") for m in matches]
    return [text.strip() for text in texts if text.strip()]


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


def _largest(candidates: str) -> list[str]:
    """The URLs of a ``srcset``, the widest first."""
    found = [(float(size or 1), url) for url, size in _CANDIDATE.findall(candidates[:10_000])]
    return [url for _, url in sorted(found, key=lambda pair: -pair[0])]

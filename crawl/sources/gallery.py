"""Any HTML gallery, described by CSS selectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

import soupsieve
from bs4 import BeautifulSoup, Tag

from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources.base import SAFE_RATING, Source, register
from crawl.web.session import Session
from crawl.web.urls import absolute

_SAFE_WORDS = frozenset({"g", "general", "s", "safe"})
_LINK_ATTRIBUTES = ("href", "src")
_SELECTORS = ("item", "image", "next", "tags", "rating", "artist", "licence_link")


@register("gallery")
@dataclass(frozen=True, kw_only=True)
class Gallery(Source):
    """``url``: the first page. The others are CSS selectors, all but ``item`` and ``next`` looked
    up within an item; ``selector@attribute`` takes an attribute in place of the text. The defaults
    fit plain semantic HTML.

    ``image`` and ``next`` take ``href`` or ``src`` unless they name an attribute. ``tags`` may
    match several elements, one tag each. ``rating: ""`` states that the site rates nothing; with
    any other value an item without a rating is dropped.
    """

    url: str
    item: str = "article, figure"
    image: str = "a[href], img[src]"
    next: str = "[rel~=next]"
    tags: str = "[rel~=tag], .tag"
    rating: str = ".rating"
    artist: str = ".artist"
    licence_link: str = "[rel~=license]"

    @property
    def has_ratings(self) -> bool:
        return bool(self.rating)

    @property
    def site(self) -> str:
        return self.url

    def __post_init__(self) -> None:
        for field in fields(self):
            selector = getattr(self, field.name)
            if field.name in _SELECTORS and selector:
                try:
                    soupsieve.compile(_split(selector)[0])
                except soupsieve.SelectorSyntaxError as error:
                    reason = str(error).partition("\n")[0]
                    raise CrawlError(
                        f"source '{self.name}': key '{field.name}', '{selector}' is not a CSS "
                        f"selector: {reason}"
                    ) from None

    def candidates(self, session: Session) -> Iterator[Post]:
        """Follows ``next`` from page to page until there is none or it leads back."""
        url, seen = self.url, set[str]()
        while url and url not in seen:
            seen.add(url)
            page = self.page(session, url)
            soup = BeautifulSoup(page.body, "html.parser")
            items = soup.select(_split(self.item)[0])
            if not items:
                reason = f"'{self.item}' (key 'item') matches nothing on it"
                raise SourceError(self.name, url, reason)
            for item in items:
                yield self._post(page.url, item)
            url = _link(page.url, soup, self.next)

    def _post(self, page: str, item: Tag) -> Post:
        image = _link(page, item, self.image)
        rating = " ".join(_values(item, self.rating)).lower()
        return Post(
            url=image,
            source=self.name,
            post_id=str(item.get("id") or urlsplit(image).path),
            rating=SAFE_RATING if rating in _SAFE_WORDS else rating,
            tags=" ".join("_".join(tag.split()) for tag in _values(item, self.tags)),
            artist=" ".join(_values(item, self.artist)),
            licence=self.licence or " ".join(_values(item, self.licence_link)),
            source_link=self.url,  # not this page: on which page an item stands changes
        )


def _split(selector: str) -> tuple[str, str]:
    """("a.tag", "title") of ``a.tag@title``; the attribute is empty when none is named."""
    match = re.fullmatch(r"(.+?)@([\w-]+)", selector)
    return (match[1], match[2]) if match else (selector, "")


def _values(scope: Tag, selector: str) -> list[str]:
    """Texts, or values of the named attribute, of all that ``selector`` matches; no empty ones."""
    if not selector:
        return []
    css, attribute = _split(selector)
    matches = scope.select(css)
    texts = [str(m.get(attribute, "")) if attribute else m.get_text(" ") for m in matches]
    return [text.strip() for text in texts if text.strip()]


def _link(page: str, scope: Tag, selector: str) -> str:
    """Absolute URL of the first element that ``selector`` matches; empty when there is none."""
    if not selector:
        return ""
    css, attribute = _split(selector)
    found = scope.select_one(css)
    if found is None:
        return ""
    names = (attribute,) if attribute else _LINK_ATTRIBUTES
    link = next((str(found[name]) for name in names if found.get(name)), "")
    return absolute(page, link)

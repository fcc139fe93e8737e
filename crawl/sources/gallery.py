"""Any HTML gallery, described by CSS selectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urldefrag, urlsplit

import soupsieve
from bs4 import Tag

from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources import html
from crawl.sources.base import SAFE_RATING, MissingPageError, Source, register
from crawl.sources.listing import ListedPage
from crawl.tags import GENERAL, parse
from crawl.web.session import Session
from crawl.web.urls import web_host

_EMPTY = 3  # pages in a row without an item: no more follow
_SELECTORS = ("item", "image", "next", "tags", "rating", "artist", "licence_link")


@register("gallery")
@dataclass(frozen=True, kw_only=True)
class Gallery(Source):
    """``url``: the first page. The others are CSS selectors, all but ``item`` and ``next`` looked
    up within an item; ``selector@attribute`` takes an attribute in place of the text. The defaults
    fit plain semantic HTML.

    ``image`` and ``next`` take a link, and of an image that a script would load later the address
    that it would load, unless they name an attribute. ``tags`` may match several elements, one tag
    each. ``rating: ""`` states that the site rates nothing; with any other value an item without a
    rating is dropped.
    """

    url: str
    item: str = "article, figure"
    image: str = "a[href], img"
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
                    soupsieve.compile(html.split(selector)[0])
                except soupsieve.SelectorSyntaxError as error:
                    reason = str(error).partition("\n")[0]
                    raise CrawlError(
                        f"source '{self.name}': key '{field.name}', '{selector}' is not a CSS "
                        f"selector: {reason}"
                    ) from None

    def page_of(self, post: Post) -> str:
        """The gallery: on which of its pages an item stands changes."""
        return self.url

    def identity(self, post: Post) -> str:
        """The whole address of the image: an element's id may be any text, of many elements."""
        return post.url

    def pages(self, session: Session, start: Any) -> Iterator[ListedPage]:
        """Follows ``next`` from page to page until there is none or it leads back. After the first
        page, one that is missing is the end, and so are some without an item.
        """
        url, first, empty = start or self.url, start is None, 0
        seen, end = set[str](), ""
        while url:
            seen.add(url)
            try:
                page = self.page(session, url)
            except MissingPageError as error:
                if first:
                    raise
                end = f"{error.reason}: taken for the end"
                break
            soup = html.parsed(page.body, page.charset)
            base = html.base(page.url, soup)
            items = soup.select(html.split(self.item)[0])
            after = html.link(base, soup, self.next) or html.refresh(base, soup)
            after = urldefrag(after).url
            after = "" if after in seen else after
            if first and not items and not after:
                there = f", which leads to {page.url}" if page.url != url else ""
                reason = (
                    f"'{self.item}' (key 'item') matches nothing on it{there}{html.shown(soup)}"
                )
                raise SourceError(self.name, url, reason)
            if not items and soup.select_one("input[type=password]"):
                raise SourceError(self.name, url, f"leads to {page.url}{html.shown(soup)}")
            empty = 0 if items else empty + 1
            if empty and (not after or empty == _EMPTY):
                end = "it holds no item: taken for the end"
                break
            yield self._listed(url, base, items, after)
            url, first = after, False
        yield ListedPage(url, [], note=end)

    def _listed(self, url: str, base: str, items: list[Tag], onward: str) -> ListedPage:
        found = [html.links(base, item, self.image) for item in items]
        shared = html.placeholders(found)
        links = [next((link for link in each if link not in shared), "") for each in found]
        posts = [self._post(item, link) for item, link in zip(items, links, strict=True)]
        alike = len(links) > 2 and len(set(links)) == 1
        named = (
            "all {:,} items name one image"
            if links and links[0]
            else "none of {:,} items names an image"
        )
        note = f"{named.format(len(links))}: correct key 'image'" if alike else ""
        return ListedPage(url, posts, onward or None, note)

    def _post(self, item: Tag, link: str) -> Post:
        image = urldefrag(link).url
        rating = " ".join(html.values(item, self.rating)).lower()
        stated = parse(rating)  # "Rating: General" and "General" are one
        general = stated.name in GENERAL and stated.prefix in ("", "rating")
        parts = urlsplit(image)
        host = "" if web_host(image) == web_host(self.url) else parts.netloc
        place = f"{host}{parts.path}{'?' * bool(parts.query)}{parts.query}"
        return Post(
            url=image,
            source=self.name,
            post_id=str(item.get("id") or place),
            rating=SAFE_RATING if general else rating,
            tags=" ".join(
                "_".join(tag.split()) for tag in html.values(item, self.tags, entries=True)
            ),
            artist=" ".join(html.values(item, self.artist)),
            licence=self.licence or " ".join(html.values(item, self.licence_link)),
            source_link=self.url,  # not this page: on which page an item stands changes
        )

"""Moebooru sites, such as konachan.net and yande.re: ``/post.json``.

API: https://konachan.net/help/api
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from crawl.posts import Post
from crawl.sources.base import SAFE_RATING, register
from crawl.sources.booru import Booru
from crawl.sources.rows import Row
from crawl.web.session import Session

_PAGE_SIZE = 100  # the most that the sites give at once
_SAFE = frozenset({"s", "safe"})  # these sites have no rating below safe


@register("moebooru")
@dataclass(frozen=True, kw_only=True)
class Moebooru(Booru):
    """``tags`` as the site's own search takes them; newest first is its order."""

    post_path: ClassVar[str] = "post/show/"

    def listing(self, before: int | None) -> str:
        """By id within the search: page numbers move with every upload."""
        words = [self.tags] + ([] if before is None else [f"id:<{before}"])
        query = {"tags": " ".join(filter(None, words)), "limit": str(_PAGE_SIZE)}
        return f"{self.site}/post.json?{urlencode(query)}"

    def post(self, session: Session, page: str, row: Row) -> Post:
        """As Booru.post. ``author`` is who uploaded it: who drew it is not stated."""
        rating = row.text("rating").lower()
        return self.stated(
            row,
            url=row.link("file_url", page),  # a deleted post has none
            md5=row.md5("md5"),
            width=row.number("width"),
            height=row.number("height"),
            rating=SAFE_RATING if rating in _SAFE else rating,
            tags=row.text("tags"),
            created_at=row.unix_time("created_at"),
        )

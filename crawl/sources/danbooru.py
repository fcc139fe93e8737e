"""Danbooru and sites that run its software: ``/posts.json``.

API: https://danbooru.donmai.us/wiki_pages/help:api
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from crawl.posts import Post
from crawl.sources.base import SAFE_RATING, register
from crawl.sources.booru import KeyedBooru
from crawl.sources.rows import Row
from crawl.web.session import Credentials, Session

_PAGE_SIZE = 200  # the most that the site gives at once


@register("danbooru")
@dataclass(frozen=True, kw_only=True)
class Danbooru(KeyedBooru):
    """``tags`` as the site's own search takes them, e.g. ``"1girl solo"``."""

    post_path: ClassVar[str] = "posts/"

    def listing(self, before: int | None) -> str:
        """``page=b<ID>``: the posts before ID."""
        query = {"limit": str(_PAGE_SIZE), "tags": self.tags}
        if before is not None:
            query["page"] = f"b{before}"
        return f"{self.site}/posts.json?{urlencode(query)}"

    def post(self, session: Session, page: str, row: Row) -> Post:
        """As Booru.post. ``s`` stands for sensitive here: only ``g`` is general."""
        rating = row.text("rating").lower()
        return self.stated(
            row,
            url=row.link("file_url", page),
            md5=row.md5("md5"),
            width=row.number("image_width"),
            height=row.number("image_height"),
            rating=SAFE_RATING if rating == "g" else rating,
            tags=row.text("tag_string"),
            artist=row.text("tag_string_artist"),
            created_at=row.iso_time("created_at"),
        )

    def signed(self, login: str, key: str) -> Credentials:
        """HTTP basic authentication, which the site's help recommends."""
        token = b64encode(f"{login}:{key}".encode()).decode()
        return Credentials(headers={"Authorization": f"Basic {token}"})

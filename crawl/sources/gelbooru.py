"""Gelbooru and sites that run its software, among them safebooru.org: ``page=dapi``.

API: https://gelbooru.com/index.php?page=wiki&s=view&id=18780
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote, urlencode

from crawl.errors import SourceError
from crawl.posts import Post
from crawl.sources import rows
from crawl.sources.base import SAFE_RATING, register
from crawl.sources.booru import KeyedBooru
from crawl.sources.listing import Unfit
from crawl.sources.rows import Row, plausible
from crawl.web.session import Credentials, Session

_PAGE_SIZE = 100  # the most that the site gives at once
_TIME = "%a %b %d %H:%M:%S %z %Y"  # Wed Mar 15 09:46:20 -0500 2023

# The site calls its safest images "general" since 2022, "safe" before; sites with the older
# software still do. The letter s is none of them: it is short for "sensitive" as well.
_SAFE = frozenset({"general", "g", "safe"})


@register("gelbooru")
@dataclass(frozen=True, kw_only=True)
class Gelbooru(KeyedBooru):
    """gelbooru.com answers only to who has a key: see ``login_env`` (its ``user_id``)."""

    post_path: ClassVar[str] = "index.php?page=post&s=view&id="

    def listing(self, before: int | None) -> str:
        """By id within the search: the site's own page number stops at some thousands of posts,
        and moves with every upload.
        """
        words = [self.tags, "sort:id:desc"] + ([] if before is None else [f"id:<{before}"])
        query = {"page": "dapi", "s": "post", "q": "index", "json": "1"}
        query |= {"tags": " ".join(filter(None, words)), "limit": str(_PAGE_SIZE), "pid": "0"}
        return f"{self.site}/index.php?{urlencode(query)}"

    def parse(self, page: str, body: bytes) -> list[Row | Unfit]:
        """Newer software wraps the list, ``{"@attributes": {…}, "post": […]}``, and leaves "post"
        out when there is none; older software gives the bare list, or nothing at all.
        """
        if not body.strip():
            return []
        value = rows.load(self.name, page, body)
        if isinstance(value, dict):
            if not isinstance(value.get("@attributes"), dict):
                reason = f"is not a list of posts: {rows.shown(value)}"
                raise SourceError(self.name, page, reason)
            value = value.get("post", [])
            if isinstance(value, dict):  # a single post, as the software once turned XML to JSON
                value = [value]
        return rows.rows_of(self.name, page, value)

    def post(self, session: Session, page: str, row: Row) -> Post:
        """As Booru.post. ``change`` is when the post last changed, and not used."""
        rating = row.text("rating").lower()
        return self.stated(
            row,
            url=row.link("file_url", page) or self._file(row),
            md5=row.md5("md5") or row.md5("hash"),
            width=row.number("width"),
            height=row.number("height"),
            rating=SAFE_RATING if rating in _SAFE else rating,
            tags=html.unescape(row.text("tags")),
            created_at=_created(row),
        )

    def _file(self, row: Row) -> str:
        """The older software does not state the address, and it is always this one."""
        name, folder = row.text("image"), row.text_or_number("directory")
        return f"{self.site}/images/{quote(folder)}/{quote(name)}" if name and folder else ""

    def signed(self, login: str, key: str) -> Credentials:
        """The site takes them as part of the query only."""
        return Credentials(query={"user_id": login, "api_key": key})


def _created(row: Row) -> datetime | None:
    stated = row.text("created_at")
    return plausible("created_at", datetime.strptime(stated, _TIME)) if stated else None

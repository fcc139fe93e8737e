"""Danbooru and sites that run its software: ``/posts.json``.

API: https://danbooru.donmai.us/wiki_pages/help:api
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin

from crawl.errors import SourceError
from crawl.posts import Post
from crawl.session import Session
from crawl.sources.base import SAFE_RATING, Source, register

_PAGE_SIZE = 200  # the most that the site gives at once


@register("danbooru")
@dataclass(frozen=True, kw_only=True)
class Danbooru(Source):
    """``url``: the site; ``tags``: its search, e.g. ``"1girl solo"``."""

    url: str
    tags: str = ""

    def candidates(self, session: Session) -> Iterator[Post]:
        """Pages by id (``page=b<ID>``: before ID): new uploads do not shift what follows."""
        before: int | None = None
        while True:
            query = {"limit": str(_PAGE_SIZE), "tags": self.tags}
            if before is not None:
                query["page"] = f"b{before}"
            url = f"{self.url.rstrip('/')}/posts.json?{urlencode(query)}"
            rows = parse_rows(self.name, url, self.page(session, url).body)
            if not rows:
                return
            ids = [row["id"] for row in rows]
            if before is not None and max(ids) >= before:
                raise SourceError(self.name, url, f"lists post {max(ids)}, not below {before}")
            before = min(ids)
            for row in sorted(rows, key=lambda row: -row["id"]):
                yield self._post(url, row)

    def _post(self, page: str, row: dict[str, Any]) -> Post:
        rating = row.get("rating") or ""
        created = row.get("created_at")
        try:
            return Post(
                url=urljoin(page, row["file_url"]) if row.get("file_url") else "",
                source=self.name,
                post_id=str(row["id"]),
                md5=row.get("md5") or "",
                width=row.get("image_width"),
                height=row.get("image_height"),
                rating=SAFE_RATING if rating == "g" else rating,
                tags=row.get("tag_string") or "",
                artist=row.get("tag_string_artist") or "",
                licence=self.licence,
                source_link=row.get("source") or "",
                created_at=datetime.fromisoformat(created) if created else None,
            )
        except (TypeError, ValueError) as error:
            raise SourceError(self.name, page, f"post {row['id']}: {error}") from None


def parse_rows(source: str, page: str, body: bytes) -> list[dict[str, Any]]:
    """The posts of a page of ``posts.json``, as dicts with an integer ``id``.

    Raises SourceError when ``body`` is something else.
    """
    try:
        rows = json.loads(body)
    except ValueError:
        raise SourceError(source, page, f"is not JSON, it starts with {body[:40]!r}") from None
    if not isinstance(rows, list):
        raise SourceError(source, page, f"is not a list of posts: {str(rows)[:80]}")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), int):
            raise SourceError(source, page, f"holds a post without an id: {str(row)[:80]}")
    return rows

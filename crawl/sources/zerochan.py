"""Zerochan: any page of the site with ``?json``.

API: https://www.zerochan.net/api. It asks for a User-Agent with the project's name and the user's
(ours has ``web.contact``) and for at most 60 requests a minute (``web.rate: 1``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import quote_plus

from crawl.errors import SourceError
from crawl.outcomes import Outcome
from crawl.posts import Post
from crawl.sources import rows
from crawl.sources.base import SAFE_RATING, MissingPageError, PageError, register
from crawl.sources.booru import Booru
from crawl.sources.listing import Entry, Unfit
from crawl.sources.rows import Row
from crawl.tags import adult
from crawl.web.session import Session

_PAGE_SIZE = 100  # up to 250 are given at once
# What may be wrong with an entry's page alone; a host that is left alone, or forbids, gives none.
_OF_ONE_PAGE = frozenset({Outcome.GAVE_UP, Outcome.TRUNCATED, Outcome.TOO_LARGE})


@register("zerochan")
@dataclass(frozen=True, kw_only=True)
class Zerochan(Booru):
    """``tags``: the site's names, several separated by commas, e.g. ``"Hatsune Miku,Solo"``. It
    states no dates: use ``before`` in place of ``snapshot``.
    """

    post_path: ClassVar[str] = ""

    def listing(self, before: int | None) -> str:
        """``o``: the entries below an id, as the site's own "next" links ask for them."""
        tags = ",".join(quote_plus(tag.strip()) for tag in self.tags.split(","))
        offset = "" if before is None else f"&o={before}"
        return f"{self.site}/{tags}?json&l={_PAGE_SIZE}&s=id{offset}"

    def parse(self, page: str, body: bytes) -> list[Row | Unfit]:
        """A list under the key "items"."""
        value = rows.load(self.name, page, body)
        if not isinstance(value, dict) or "items" not in value:  # it may say why
            raise SourceError(self.name, page, f"is not a list of posts: {rows.shown(value)}")
        return rows.rows_of(self.name, page, value.get("items"))

    def post(self, session: Session, page: str, row: Row) -> Entry:
        """As Booru.post. The address of the whole image stands only on the entry's own page: its
        extension cannot be guessed from the listing. Posts that are dropped are not asked for.
        """
        tags = row.words("tags")
        post = self.stated(
            row,
            url="",
            md5=row.md5("md5"),
            width=row.number("width"),
            height=row.number("height"),
            # The site refuses pornography, and its tags are its ratings. An entry without tags has
            # not been looked at by anybody yet.
            rating=" ".join(adult(tags)) or (SAFE_RATING if tags else ""),
            tags=tags,
        )
        return self._with_image(session, post) if post.rating == SAFE_RATING else post

    def _with_image(self, session: Session, post: Post) -> Entry:
        url = f"{self.site}/{post.post_id}?json"
        try:
            entry = rows.row_of(url, rows.load(self.name, url, self.page(session, url).body))
        except MissingPageError:  # taken down meanwhile
            return post
        except PageError as error:
            if error.outcome not in _OF_ONE_PAGE:
                raise
            return Unfit(url, error.reason)
        except SourceError as error:  # no JSON
            return Unfit(url, error.reason)
        if isinstance(entry, Unfit):
            return entry
        if str(entry.id) != post.post_id:
            return Unfit(url, f"is the page of post {entry.id}")
        try:
            md5, image = entry.md5("hash"), entry.link("full", url)
            rating = " ".join(adult(entry.words("tags"))) or post.rating
        except ValueError as error:
            return Unfit(url, str(error))
        return replace(post, url=image, md5=md5 or post.md5, rating=rating)

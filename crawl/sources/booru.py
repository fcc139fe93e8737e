"""What sites with a JSON listing share: asked page by page for the posts below an id."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources import rows
from crawl.sources.base import MissingPageError, Source
from crawl.sources.rows import Row
from crawl.web.keys import from_environment
from crawl.web.session import Credentials, Session
from crawl.web.urls import web_host

_ORDERS = ("order:", "sort:")


@dataclass(frozen=True, kw_only=True)
class Booru(Source):
    """``url``: the site; ``tags``: its search; ``before``: only posts with smaller ids. Unlike
    ``snapshot`` it needs no dates, and the listing begins there at once.
    """

    url: str
    tags: str = ""
    before: Annotated[int, Field(gt=1)] | None = None

    ends_with_404: ClassVar[bool] = False  # whether there is no page where there is no post

    def __post_init__(self) -> None:
        if not web_host(self.url) or any(mark in self.url for mark in "@?#"):
            raise CrawlError(
                f"source '{self.name}': key 'url' must be the plain address of the site, as in "
                "https://example.org"
            )
        for word in self.tags.split():
            if word.startswith(_ORDERS):
                raise CrawlError(
                    f"source '{self.name}': key 'tags' must not hold '{word}': posts are listed "
                    "by their ids, newest first"
                )

    @property
    def site(self) -> str:
        """Where its pages are, without a slash at the end."""
        return self.url.rstrip("/")

    @abstractmethod
    def listing(self, before: int | None) -> str:
        """URL of the page with the newest posts, or the newest ones below the id ``before``."""

    def parse(self, page: str, body: bytes) -> list[Row]:
        """The posts of a listing, a bare list unless a source says otherwise; none means its end.
        Raises SourceError.
        """
        return rows.rows_of(self.name, page, rows.load(self.name, page, body))

    @abstractmethod
    def post(self, session: Session, page: str, row: Row) -> Post:
        """The post that ``row`` of ``page`` states. Raises ValueError, see Row."""

    def stated(self, row: Row, **others: Any) -> Post:
        """A post with what all sites state alike, and ``others``."""
        return Post(
            source=self.name,
            post_id=str(row.id),
            licence=self.licence,
            source_link=row.text("source"),
            **others,
        )

    def credentials(self) -> Credentials:
        """Who we are to the site: nobody, unless a source says otherwise."""
        return Credentials()

    def candidates(self, session: Session) -> Iterator[Post]:
        """Pages by id and not by number: new uploads do not shift what follows."""
        before, credentials = self.before, self.credentials()
        while True:
            url = self.listing(before)
            try:
                found = self.parse(url, self.page(session, url, credentials).body)
            except MissingPageError:
                if before is None or not self.ends_with_404:
                    raise
                return
            if not found:
                return
            highest = max(row.id for row in found)
            if before is not None and highest >= before:
                raise SourceError(self.name, url, f"lists post {highest}, not below {before}")
            before = min(row.id for row in found)
            for row in sorted(found, key=lambda row: -row.id):
                try:
                    post = self.post(session, url, row)
                except ValueError as error:
                    raise SourceError(self.name, url, f"post {row.id}: {error}") from None
                yield post


@dataclass(frozen=True, kw_only=True)
class KeyedBooru(Booru):
    """A site that knows its users by a key. ``login_env`` and ``api_key_env`` are the *names* of
    environment variables: what they hold is sent to this site and stands in no file.
    """

    login_env: str = ""
    api_key_env: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.login_env) != bool(self.api_key_env):
            raise CrawlError(
                f"source '{self.name}': keys 'login_env' and 'api_key_env' go together: give both "
                "or none"
            )

    def credentials(self) -> Credentials:
        """From the environment. Raises CrawlError when a variable is not set."""
        if not self.api_key_env:
            return Credentials()
        login = from_environment(self.name, self.login_env)
        return self.signed(login, from_environment(self.name, self.api_key_env))

    @abstractmethod
    def signed(self, login: str, key: str) -> Credentials:
        """How the site wants to be told."""

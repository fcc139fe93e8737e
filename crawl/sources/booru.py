"""What sites with a JSON listing share: asked page by page for the posts below an id."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, ClassVar

from pydantic import Field

from crawl.errors import CrawlError, SourceError
from crawl.posts import Post
from crawl.sources import rows
from crawl.sources.base import MOST, MissingPageError, Source
from crawl.sources.listing import Entry, ListedPage, Unfit
from crawl.sources.rows import Row
from crawl.web.keys import from_environment
from crawl.web.session import Credentials, Session
from crawl.web.urls import web_host

_NOTHING = (b"", b"[]", b"{}", b"null")  # what sites send behind the last page
_ORDERS = ("order:", "sort:")


@dataclass(frozen=True, kw_only=True)
class Booru(Source):
    """``url``: the site; ``tags``: its search; ``before``: only posts with smaller ids. Unlike
    ``snapshot`` it needs no dates, and the listing begins there at once.
    """

    url: str
    tags: str = ""
    before: Annotated[int, Field(gt=1, le=MOST, strict=True)] | None = None

    post_path: ClassVar[str]  # what stands before a post's number in the address of its page

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

    def parse(self, page: str, body: bytes) -> list[Row | Unfit]:
        """The entries of a listing, a bare list unless a source says otherwise; none means its end.
        Raises SourceError.
        """
        return rows.rows_of(self.name, page, rows.load(self.name, page, body))

    @abstractmethod
    def post(self, session: Session, page: str, row: Row) -> Entry:
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

    def ready(self) -> None:
        """Raises CrawlError when a variable of the environment is not set."""
        self.credentials()

    def page_of(self, post: Post) -> str:
        """As Source.page_of."""
        return f"{self.site}/{self.post_path}{post.post_id}"

    def pages(self, session: Session, start: Any) -> Iterator[ListedPage]:
        """By id and not by number: new uploads do not shift what follows. After the first page one
        that is missing or empty is the end: some sites have no page where they have no post.
        """
        before, first = start or self.before, start is None
        while True:
            url = self.listing(before)
            try:
                body = self.page(session, url, self.credentials()).body
            except MissingPageError as error:
                if first:
                    raise
                yield ListedPage(url, [], note=f"{error.reason}: taken for the end")
                return
            ended = not first and body.strip() in _NOTHING
            found = [] if ended else self.parse(url, body)
            if not found:
                yield ListedPage(url, [])
                return
            after = self._after(url, found, before)
            yield ListedPage(url, self._entries(session, url, found, before), after)
            before, first = after, False

    def _after(self, url: str, found: list[Row | Unfit], before: int | None) -> int:
        """Below which id the listing goes on. Raises SourceError when the page does not tell."""
        ids = [entry.id for entry in found if isinstance(entry, Row)]
        below = [number for number in ids if number < (before or inf)]
        if below:
            return min(below)
        unfit = next((entry.reason for entry in found if isinstance(entry, Unfit)), "")
        circle = f"lists post {max(ids, default=0)}, not below {before}"
        raise SourceError(self.name, url, circle if ids else unfit)

    def _entries(
        self, session: Session, url: str, found: list[Row | Unfit], before: int | None
    ) -> Iterator[Entry]:
        """Newest first, whatever the order of the page; what cannot be read comes last."""
        rows = [entry for entry in found if isinstance(entry, Row)]
        for row in sorted(rows, key=lambda row: -row.id):
            if before is not None and row.id >= before:
                yield Unfit(url, f"post {row.id}: it is not below {before}, which was asked for")
                continue
            try:
                yield self.post(session, url, row)
            except ValueError as error:
                yield Unfit(url, f"post {row.id}: {error}")
        yield from (entry for entry in found if isinstance(entry, Unfit))


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
        login = from_environment(self.name, self.login_env, secret=False)
        key = from_environment(self.name, self.api_key_env)
        return self.signed(login, key)

    @abstractmethod
    def signed(self, login: str, key: str) -> Credentials:
        """How the site wants to be told."""

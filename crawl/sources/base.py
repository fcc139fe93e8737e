"""What all sources share: how they are declared, and which of their posts are listed.

A new source is a frozen dataclass with a ``pages`` method, registered under its type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from crawl.archives.reader import SCHEME
from crawl.errors import CrawlError, SourceError
from crawl.names import NAME, nearest
from crawl.outcomes import FetchError, Outcome
from crawl.posts import Post
from crawl.secrets import bare, credential_in, redact
from crawl.sources.collector import Collector
from crawl.sources.listing import Entry, ListedPage, Listing, Memory
from crawl.tags import adult
from crawl.web.answers import Page
from crawl.web.session import Credentials, Session
from crawl.web.urls import web_host

MOST = 1_000_000_000  # posts, and the number of one
_LONGEST = 2000  # characters of what is declared: an address, a selector, some tags
SAFE_RATING = "general"  # every site's word for it (g, safe, …) is translated to this one
_NOT_IMAGES = frozenset({".mp4", ".webm", ".zip", ".swf", ".avi", ".mov"})

SOURCES: dict[str, type[Source]] = {}


def nothing(post: Post) -> str:
    """The verdict of who excludes no post."""
    return ""


class PageError(SourceError):
    """A page cannot be had; ``outcome`` says what came of asking for it."""

    def __init__(self, source: str, page: str, outcome: Outcome, reason: str) -> None:
        super().__init__(source, page, f"{outcome}: {reason}")
        self.outcome = outcome


class MissingPageError(PageError):
    """There is no such page."""


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A declared source.

    ``name``: column ``source`` of its posts; ``limit``: most posts to list; ``snapshot``: posts
    created after this date are not listed, so that the same declaration later asks for the same
    posts; ``licence``: stated for every post of the source; ``partial``: whether what was listed
    is enough where the source breaks off.
    """

    name: Annotated[str, Field(pattern=f"^{NAME}$")]  # part of file names
    limit: Annotated[int, Field(gt=0, le=MOST, strict=True)] | None = None
    snapshot: date | None = None
    licence: str = ""
    partial: bool = False

    is_local: ClassVar[bool] = False  # whether its images are files of this machine

    @property
    def has_ratings(self) -> bool:
        """Whether the site rates its posts; an unrated one is then dropped."""
        return True

    @property
    def site(self) -> str:
        """The address that is asked; empty where nothing but files is read."""
        return ""

    def located(self, folder: Path) -> Source:
        """This source with the files that it names found, in ``folder`` or from the root."""
        return self

    def ready(self) -> None:
        """Raises CrawlError, before anything is asked, when the source cannot be asked."""
        return

    def page_of(self, post: Post) -> str:
        """The page of the site that shows ``post``; empty where there is none."""
        return ""

    def identity(self, post: Post) -> str:
        """Two posts with one identity are one post."""
        return post.post_id

    @abstractmethod
    def pages(self, session: Session, start: Any) -> Iterator[ListedPage]:
        """The source's listing, newest first or in its own order, from ``start`` on: the ``after``
        of an earlier page, or None.

        Of a post ``url`` is empty when the source does not give the image away, ``rating`` is
        ``SAFE_RATING``, the site's own word for anything else, or empty. Raises SourceError for a
        page that cannot be used; an entry that cannot is `Unfit` and costs itself alone.
        """

    def discover(
        self,
        session: Session,
        excluded: Callable[[Post], str] = nothing,
        memory: Path | None = None,
    ) -> Listing:
        """The posts to list, at most ``limit``, and how many entries met which verdict.

        An excluded post keeps its place: it counts towards ``limit``, and no other post moves to
        another batch for it. What was read when the source breaks off is kept, and remembered in
        the folder ``memory``. Raises CrawlError on a mistake in the declaration.
        """
        known = Memory(memory, self.name, repr(self))
        collector = Collector(self, excluded)
        try:
            for page in known.pages:
                collector.take(page)
            if not known.done and not collector.full:
                for page in map(_without_secrets, self.pages(session, known.after)):
                    known.add(collector.take(page))
                    if collector.ends(page.url):
                        break
            collector.check()
        except SourceError as error:
            collector.listing.stopped = error
        return collector.listing

    def forget(self, memory: Path | None) -> None:
        """All sources were listed: what ``memory`` holds of this one is needed no more."""
        Memory(memory, self.name, repr(self)).forget()

    def verdict(self, post: Post) -> str:
        """``listed``, or why ``post`` is not."""
        # No switch turns this off: only general-audience images are ever listed. Where a site
        # rates nothing, its tags tell.
        if self.has_ratings and post.rating != SAFE_RATING:
            return "dropped_rating" if post.rating else "dropped_unrated"
        if not self.has_ratings and adult(post.tags):
            return "dropped_rating"
        if self.snapshot and self._created(post) > self.snapshot:
            return "dropped_after_snapshot"
        if not post.url:
            return "dropped_no_image"
        # A site must not be able to make the crawler read local files.
        if not (post.url.startswith(SCHEME) if self.is_local else web_host(post.url)):
            return "dropped_bad_url"
        suffix = PurePosixPath(urlsplit(post.url).path).suffix.lower()
        if suffix in _NOT_IMAGES and not self.is_local:
            return "dropped_not_an_image"
        return "listed"

    def _created(self, post: Post) -> date:
        """The day of ``post``, in UTC. Raises ValueError when it is not stated: the same
        declaration would list other posts tomorrow.
        """
        if post.created_at:
            return post.created_at.astimezone(UTC).date()
        raise ValueError(
            f"post {post.post_id}: the source states no date for it, so key 'snapshot' cannot be "
            "kept: take it out; sources that are listed by id have 'before' in its place"
        )

    def page(self, session: Session, url: str, credentials: Credentials | None = None) -> Page:
        """The page at ``url``. Raises SourceError, which shows no credentials, when it cannot be
        had, MissingPageError when there is none.
        """
        credentials = credentials or Credentials()
        try:
            return session.page(url, credentials)
        except FetchError as failure:
            reason = redact(f"{failure.reason}{self._advice(failure)}")
            kind = MissingPageError if failure.outcome is Outcome.GONE else PageError
            raise kind(self.name, redact(url), failure.outcome, reason) from None

    def _advice(self, failure: FetchError) -> str:
        if failure.outcome is Outcome.FORBIDDEN_BY_ROBOTS:
            return (
                " and is obeyed: ask the site's owner for leave or for a copy of the images, or "
                "use a set that is published as an archive (type: archive)"
            )
        if failure.reason.startswith(("HTTP 401", "HTTP 403")):
            return ": if the site wants an API key, see keys 'login_env' and 'api_key_env'"
        return ""


S = TypeVar("S", bound=Source)


def register(kind: str) -> Callable[[type[S]], type[S]]:
    """Class decorator: makes a source available as ``type: kind``."""

    def add(source: type[S]) -> type[S]:
        SOURCES[kind] = source
        return source

    return add


def parse_source(declaration: dict[str, Any]) -> Source:
    """The source that ``declaration``, a dict from params, describes.

    Raises CrawlError naming the source, the key and the nearest valid one.
    """
    values = dict(declaration)
    where = f"source {str(values.get('name', '?'))[:80]!r}"
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in SOURCES:
        raise CrawlError(
            f"{where}: unknown type {str(kind)[:80]!r}{nearest(str(kind), list(SOURCES))}"
        )
    known = {field.name: field for field in fields(SOURCES[kind])}
    for key in values:
        if key not in known:
            raise CrawlError(f"{where}: unknown key '{key}'{nearest(str(key), list(known))}")
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise CrawlError(f"{where}: key '{key}' is missing, type '{kind}' needs it")
        value = values.get(key)
        if isinstance(value, str) and not (value or field.default is not MISSING):
            raise CrawlError(f"{where}: key '{key}' is empty, type '{kind}' needs it")
        if isinstance(value, str) and (not value.isprintable() or len(value) > _LONGEST):
            raise CrawlError(
                f"{where}: key '{key}' is no plain line of up to {_LONGEST} characters"
            )
        if secret := credential_in(str(value or "")):
            raise CrawlError(
                f"{where}: key '{key}' has {secret}: no credential stands in params, which are "
                "shared; sites with keys take them from the environment (docs/sources.md)"
            )
    try:
        return TypeAdapter(SOURCES[kind]).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        reason = first["msg"][:1].lower() + first["msg"][1:]  # the rest may be a pattern
        raise CrawlError(
            f"{where}: key '{key}' is {repr(first['input'])[:200]}: {reason}"
        ) from None


def _without_secrets(page: ListedPage) -> ListedPage:
    """What is kept of ``page``: a site may put a key into an address, or repeat one."""
    return replace(page, url=redact(bare(page.url)), entries=map(_clean, page.entries))


def _clean(entry: Entry) -> Entry:
    told = {field.name: getattr(entry, field.name) for field in fields(entry)}
    texts = {name: text for name, text in told.items() if isinstance(text, str)}
    clean: dict[str, Any] = {name: redact(bare(text)) for name, text in texts.items()}
    return replace(entry, **clean) if clean != texts else entry

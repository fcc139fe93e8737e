"""What all sources share: how they are declared, and which of their posts are listed.

A new source is a frozen dataclass with a ``candidates`` method, registered under its type.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from crawl.archives.reader import SCHEME
from crawl.errors import CrawlError, SourceError
from crawl.names import NAME
from crawl.outcomes import FetchError, Outcome
from crawl.posts import Post
from crawl.secrets import bare, credential_in, redact
from crawl.web.session import Credentials, Page, Session
from crawl.web.urls import web_host

SAFE_RATING = "general"  # every site's word for it (g, safe, …) is translated to this one
BATCH = 100  # posts of one source that share a shard; with limits that are multiples of it, a
# larger limit adds shards and changes none
_NOT_IMAGES = frozenset({".mp4", ".webm", ".zip", ".swf", ".avi", ".mov"})

SOURCES: dict[str, type[Source]] = {}


def nothing(post: Post) -> str:
    """The verdict of who excludes no post."""
    return ""


class MissingPageError(SourceError):
    """There is no such page."""


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A declared source.

    ``name``: column ``source`` of its posts; ``limit``: most posts to list; ``snapshot``: posts
    created after this date are not listed, so that the same declaration later asks for the same
    posts; ``licence``: stated for every post of the source.
    """

    name: Annotated[str, Field(pattern=f"^{NAME}$")]  # part of file names
    limit: Annotated[int, Field(gt=0)] | None = None
    snapshot: date | None = None
    licence: str = ""

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

    @abstractmethod
    def candidates(self, session: Session) -> Iterator[Post]:
        """Every post the source has, newest first or in its own order; ``url`` is empty when it
        does not give the image away, ``rating`` is ``SAFE_RATING``, the site's own word for
        anything else, or empty.
        """

    def discover(
        self, session: Session, excluded: Callable[[Post], str] = nothing
    ) -> tuple[list[Post], Counter[str]]:
        """The posts to list, at most ``limit``, and how many candidates met which verdict.

        An excluded post keeps its place: it counts towards ``limit``, and no other post moves to
        another batch for it.
        """
        listed: list[Post] = []
        verdicts: Counter[str] = Counter(listed=0)
        seen: set[str] = set()
        places = 0
        for post in map(_without_secrets, self.candidates(session)):
            verdict = "repeated" if post.post_id in seen else self._verdict(post)
            seen.add(post.post_id)
            if verdict == "listed":
                batch, places = places // BATCH, places + 1
                verdict = excluded(post) or verdict
            verdicts[verdict] += 1
            if verdict == "listed":
                listed.append(replace(post, batch=batch))
            if places == self.limit:
                break
        return listed, verdicts

    def _verdict(self, post: Post) -> str:
        # No switch turns this off: only general-audience images are ever listed.
        if self.has_ratings and post.rating != SAFE_RATING:
            return "dropped_rating" if post.rating else "dropped_unrated"
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
        """The day of ``post``, in UTC. Raises SourceError when it is not stated: the same
        declaration would list other posts tomorrow.
        """
        if post.created_at:
            return post.created_at.astimezone(UTC).date()
        raise SourceError(
            self.name,
            f"post {post.post_id}",
            "the source states no date for it, so key 'snapshot' cannot be kept: take it out; "
            "sources that are listed by id have 'before' in its place",
        )

    def page(self, session: Session, url: str, credentials: Credentials | None = None) -> Page:
        """The page at ``url``. Raises SourceError, which shows no credentials, when it cannot be
        had, MissingPageError when there is none.
        """
        credentials = credentials or Credentials()
        try:
            return session.page(url, credentials)
        except FetchError as failure:
            reason = f"{failure.outcome}: {failure.reason}{self._advice(failure)}"
            kind = MissingPageError if failure.outcome is Outcome.GONE else SourceError
            raise kind(self.name, redact(url), reason) from None

    def _advice(self, failure: FetchError) -> str:
        if failure.outcome is Outcome.FORBIDDEN_BY_ROBOTS:
            return (
                " and is obeyed: ask the site's owner for leave or for a copy of the images, or "
                "use a set that is published as an archive (type: archive)"
            )
        if failure.reason in ("HTTP 401", "HTTP 403"):
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
    where = f"source '{values.get('name', '?')}'"
    kind = values.pop("type", None)
    if kind not in SOURCES:
        raise CrawlError(f"{where}: unknown type '{kind}'{_nearest(str(kind), list(SOURCES))}")
    known = {field.name: field for field in fields(SOURCES[kind])}
    for key in values:
        if key not in known:
            raise CrawlError(f"{where}: unknown key '{key}'{_nearest(str(key), list(known))}")
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise CrawlError(f"{where}: key '{key}' is missing, type '{kind}' needs it")
        if secret := credential_in(str(values.get(key, ""))):
            raise CrawlError(
                f"{where}: key '{key}' has {secret}: no credential stands in params, which are "
                "shared; sites with keys take them from the environment (docs/sources.md)"
            )
    try:
        return TypeAdapter(SOURCES[kind]).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = f"{where}: key '{key}' is {first['input']!r}: {first['msg'].lower()}"
        raise CrawlError(message) from None


def _without_secrets(post: Post) -> Post:
    """What is stored of ``post``: a site may put a key into an address, or repeat one."""
    told = {field.name: getattr(post, field.name) for field in fields(Post)}
    texts = {name: text for name, text in told.items() if isinstance(text, str)}
    clean: dict[str, Any] = {name: redact(bare(text)) for name, text in texts.items()}
    return replace(post, **clean) if clean != texts else post


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" — did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"

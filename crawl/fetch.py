"""Download one post: whole, unaltered, and checked before anybody decodes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import aiohttp

from crawl.archives.reader import ArchiveReader
from crawl.images import image_format, image_size
from crawl.outcomes import FetchError, Outcome
from crawl.parts import Part
from crawl.posts import Post
from crawl.settings import CrawlSettings
from crawl.web.answers import OK, refuse_unless_ok
from crawl.web.encoding import decoded
from crawl.web.retry import TruncatedError
from crawl.web.session import Session


@dataclass(frozen=True)
class Fetched:
    """What came of one post. ``data``: the original bytes, only when the outcome is ok."""

    outcome: Outcome
    reason: str = ""
    data: bytes | None = None
    sha256: str = ""  # hex, of data
    md5: str = ""  # hex, of data
    width: int | None = None  # pixels, from the header
    height: int | None = None


def fetch_archived(post: Post, settings: CrawlSettings, archives: ArchiveReader) -> Fetched:
    """The image of ``post`` out of an archive. Whatever is wrong with it becomes an outcome."""
    try:
        data = archives.read(post.url, settings.max_bytes)
    except FetchError as failure:
        return Fetched(failure.outcome, failure.reason)
    return examine(data, post, settings)


async def fetch(
    post: Post, settings: CrawlSettings, session: Session, part: Part, page: str = ""
) -> Fetched:
    """The image of ``post``, which ``page`` shows, from the web; its bytes stay in ``part``.
    Whatever is wrong with it becomes an outcome. Raises CrawlError only for what concerns the whole
    crawl.
    """
    try:
        data = await download(post.url, settings.max_bytes, session, part, page)
    except FetchError as failure:
        return Fetched(failure.outcome, failure.reason)
    return examine(data, post, settings)


def examine(data: bytes, post: Post, settings: CrawlSettings) -> Fetched:
    """Whether ``data`` is the image that ``post`` promises: its type, its size, its md5.

    Also of bytes that an earlier crawl kept, by the limits of today. The type comes first: a page
    of HTML in the image's place is no image, and no other image.
    """
    if len(data) > settings.max_bytes:
        return Fetched(Outcome.TOO_LARGE, too_large(settings.max_bytes))
    try:
        width, height = image_size(data, settings.max_pixels)
    except FetchError as failure:
        return Fetched(failure.outcome, failure.reason)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if post.md5 and md5 != post.md5.lower():
        return Fetched(Outcome.CHECKSUM_MISMATCH, f"md5 is {md5}, the site says {post.md5}")
    return Fetched(Outcome.OK, "", data, hashlib.sha256(data).hexdigest(), md5, width, height)


async def download(url: str, max_bytes: int, session: Session, part: Part, page: str = "") -> bytes:
    """The bytes at ``url``, without the encoding they were sent in; goes on where ``part`` ends.

    Raises FetchError: gone, too_large, truncated, gave_up, host_parked, forbidden_by_robots,
    forbidden_address, not_an_image.
    """
    if not part.size or part.size != part.total:
        transfer = _Transfer(part, max_bytes)
        await session.get(url, transfer.read, transfer.headers, referer=page)
    data = part.read()
    if not part.encoding or image_format(data):  # a server that names it and sends none
        return data
    try:
        data = decoded(data, part.encoding, max_bytes)
    except ValueError as error:
        raise FetchError(Outcome.NOT_AN_IMAGE, str(error)) from None
    if len(data) > max_bytes:
        raise FetchError(Outcome.TOO_LARGE, f"more bytes, crawl.max_bytes is {max_bytes:,}")
    return data


class _Transfer:
    """A download that keeps what it has when the connection breaks and asks for the rest."""

    def __init__(self, part: Part, max_bytes: int) -> None:
        self._part = part
        self._max_bytes = max_bytes

    def headers(self) -> dict[str, str]:
        # identity: what is stored is what the server has, and Content-Length counts it.
        headers = {"Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
        if self._part.size:
            headers["Range"] = f"bytes={self._part.size}-"
            if self._part.version:
                headers["If-Range"] = self._part.version
        return headers

    async def read(self, response: aiohttp.ClientResponse, _: str) -> None:
        """Takes the body, or what is left of it. Raises TruncatedError when it ends early."""
        status = response.status
        whole = response.headers.get("Content-Range", "").startswith("bytes 0-")
        if status == 206 and not self._part.size and whole:  # all of it, though nobody asked so
            status = 200
        if self._part.size and status in (206, 416) and not self._continues(response):
            self._part.restart(None, "")
            raise TruncatedError("the answer to a range request does not fit")
        if status in OK:
            self._start(response)
        elif status != 206 or not self._part.size:
            await refuse_unless_ok(response)
        await self._take(response)

    def _continues(self, response: aiohttp.ClientResponse) -> bool:
        """Whether a 206 goes on exactly where the bytes in hand end, in the same image."""
        span, _, total = response.headers.get("Content-Range", "").partition("/")
        same = self._part.total is None or total in ("*", str(self._part.total))
        return same and span.startswith(f"bytes {self._part.size}-")

    def _start(self, response: aiohttp.ClientResponse) -> None:
        length = response.headers.get("Content-Length", "")
        span, _, whole = response.headers.get("Content-Range", "").partition("/")
        length = whole if span and whole.isdigit() else length
        total = int(length) if length.isascii() and length.isdigit() else None
        if total is not None and total > self._max_bytes:
            raise self._too_large()
        etag = response.headers.get("ETag", "")
        # A weak ETag does not promise equal bytes (RFC 9110 section 13.1.5).
        strong = etag if not etag.startswith("W/") else ""
        version = strong or response.headers.get("Last-Modified", "")
        self._part.restart(total, version, response.headers.get("Content-Encoding", ""))

    async def _take(self, response: aiohttp.ClientResponse) -> None:
        part = self._part
        announced = "" if part.total is None else f" of {part.total:,}"
        try:
            async for chunk in response.content.iter_any():
                part.append(chunk)
                if part.size > self._max_bytes:
                    raise self._too_large()
        except (aiohttp.ClientError, TimeoutError):
            raise TruncatedError(f"ended after {part.size:,}{announced} bytes") from None
        if part.total is not None and part.size != part.total:
            raise TruncatedError(f"ended after {part.size:,}{announced} bytes")

    def _too_large(self) -> FetchError:
        return FetchError(Outcome.TOO_LARGE, too_large(self._max_bytes))


def too_large(max_bytes: int) -> str:
    """The same words whether the server, the body or an earlier crawl's bytes tell."""
    return f"more than crawl.max_bytes, {max_bytes:,}"

"""Download one post: whole, unaltered, and checked before anybody decodes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import requests
import urllib3

from crawl.archives import SCHEME, ArchiveReader
from crawl.images import image_size
from crawl.outcomes import FetchError, Outcome
from crawl.posts import Post
from crawl.retry import TruncatedError
from crawl.session import Session
from crawl.settings import CrawlSettings

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Fetched:
    """What came of one post. ``data``: the original bytes, only when the outcome is ok."""

    outcome: Outcome
    reason: str = ""
    data: bytes | None = None
    sha256: str = ""  # hex, of data
    width: int | None = None  # pixels, from the header
    height: int | None = None


def fetch(
    post: Post, settings: CrawlSettings, session: Session, archives: ArchiveReader
) -> Fetched:
    """The image of ``post``, from the web or from an archive. Whatever is wrong with it becomes
    an outcome. Raises CrawlError only for what concerns the whole crawl.
    """
    try:
        if post.url.startswith(SCHEME):
            data = archives.read(post.url, settings.max_bytes)
        else:
            data = download(post.url, settings.max_bytes, session)
    except FetchError as failure:
        return Fetched(failure.outcome, failure.reason)
    return judge(data, post, settings)


def judge(data: bytes, post: Post, settings: CrawlSettings) -> Fetched:
    """Whether ``data`` is the image that ``post`` promises: its md5, its type, its size."""
    if post.md5:
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found != post.md5.lower():
            return Fetched(Outcome.CHECKSUM_MISMATCH, f"md5 is {found}, the site says {post.md5}")
    try:
        width, height = image_size(data, settings.max_pixels)
    except FetchError as failure:
        return Fetched(failure.outcome, failure.reason)
    return Fetched(Outcome.OK, "", data, hashlib.sha256(data).hexdigest(), width, height)


def download(url: str, max_bytes: int, session: Session) -> bytes:
    """The bytes at ``url``, as the server has them.

    Raises FetchError: gone, too_large, truncated, gave_up, forbidden_by_robots, forbidden_address.
    """
    transfer = _Transfer(max_bytes)
    session.get(url, transfer.read, transfer.headers)
    return bytes(transfer.body)


class _Transfer:
    """A download that keeps what it has when the connection breaks and asks for the rest."""

    def __init__(self, max_bytes: int) -> None:
        self.body = bytearray()
        self._max_bytes = max_bytes
        self._total: int | None = None  # bytes of the whole image, when the server said so
        self._version = ""  # ETag or Last-Modified of the bytes in hand

    def headers(self) -> dict[str, str]:
        # identity: what is stored is what the server has, and Content-Length counts it.
        headers = {"Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
        if self.body:
            headers["Range"] = f"bytes={len(self.body)}-"
            if self._version:
                headers["If-Range"] = self._version
        return headers

    def read(self, response: requests.Response) -> None:
        """Takes the body, or what is left of it. Raises TruncatedError when it ends early."""
        status = response.status_code
        if status in (404, 410):
            raise FetchError(Outcome.GONE, f"HTTP {status}")
        if self.body and status in (206, 416) and not self._continues(response):
            self.body.clear()
            raise TruncatedError("the answer to a range request does not fit")
        if status == 200:
            self._start(response)
        elif status != 206 or not self.body:
            raise FetchError(Outcome.GAVE_UP, f"HTTP {status}")
        self._take(response)

    def _continues(self, response: requests.Response) -> bool:
        """Whether a 206 goes on exactly where the bytes in hand end, in the same image."""
        span, _, total = response.headers.get("Content-Range", "").partition("/")
        same = self._total is None or total in ("*", str(self._total))
        return same and span.startswith(f"bytes {len(self.body)}-")

    def _start(self, response: requests.Response) -> None:
        self.body.clear()
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isascii() and length.isdigit() else None
        etag = response.headers.get("ETag", "")
        # A weak ETag does not promise equal bytes (RFC 9110 section 13.1.5).
        strong = etag if not etag.startswith("W/") else ""
        self._version = strong or response.headers.get("Last-Modified", "")
        if self._total is not None and self._total > self._max_bytes:
            raise self._too_large(f"{self._total:,} bytes")

    def _take(self, response: requests.Response) -> None:
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                self.body += chunk
                if len(self.body) > self._max_bytes:
                    raise self._too_large("more bytes")
        except urllib3.exceptions.HTTPError:
            announced = "" if self._total is None else f" of {self._total:,}"
            raise TruncatedError(f"ended after {len(self.body):,}{announced} bytes") from None
        if self._total is not None and len(self.body) != self._total:
            raise TruncatedError(f"ended after {len(self.body):,} of {self._total:,} bytes")

    def _too_large(self, size: str) -> FetchError:
        return FetchError(Outcome.TOO_LARGE, f"{size}, crawl.max_bytes is {self._max_bytes:,}")

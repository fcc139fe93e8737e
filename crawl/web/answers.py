"""Reading answers: pages, robots.txt, and what a site says of why it refuses."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from bs4 import BeautifulSoup

from crawl import texts
from crawl.outcomes import FetchError, Outcome
from crawl.web import robots
from crawl.web.encoding import decoded

OK = (200, 203)
_MAX_PAGE_BYTES = 64_000_000
_MAX_SAID_BYTES = 4096
_MAX_SAID = 300  # characters
# Where a site's JSON says what is wrong; the first that is there is taken.
_TELLING = (
    *("message", "error_message", "error_description", "msg", "reason", "detail"),
    *("errors", "error", "title"),
)


@dataclass(frozen=True)
class Page:
    """A page and where it was found in the end. ``charset``: as its header states it, or empty."""

    url: str
    body: bytes
    charset: str = ""


async def read_page(response: aiohttp.ClientResponse, url: str) -> Page:
    """The page that ``response`` brings; an empty one where it says that there is no content.
    Raises FetchError: gone, gave_up, too_large.
    """
    if response.status == 204:
        return Page(url, b"")
    await refuse_unless_ok(response)
    body = await _read_up_to(_MAX_PAGE_BYTES + 1, response)
    if len(body) > _MAX_PAGE_BYTES:
        raise FetchError(Outcome.TOO_LARGE, f"a page of more than {_MAX_PAGE_BYTES:,} bytes")
    return Page(url, body, response.charset or "")


async def read_robots(response: aiohttp.ClientResponse, url: str) -> str:
    """The text of a robots.txt. Raises FetchError (gave_up) where the site does not tell."""
    if 400 <= response.status < 500:
        return ""  # RFC 9309 section 2.3.1.3: no robots.txt, no rules
    if not 200 <= response.status < 300:
        raise FetchError(Outcome.GAVE_UP, f"HTTP {response.status}")
    return robots.text_of(await _read_up_to(robots.MAX_BYTES, response))


async def refuse_unless_ok(response: aiohttp.ClientResponse) -> None:
    """Raises FetchError, with the site's own reason, unless the status is 200, or 203, which only
    says that a proxy stands between.
    """
    if response.status not in OK:
        outcome = Outcome.GONE if response.status in (404, 410) else Outcome.GAVE_UP
        reason = "" if outcome is Outcome.GONE else await said(response)
        raise FetchError(outcome, f"HTTP {response.status}{reason}")


async def said(response: aiohttp.ClientResponse) -> str:
    """``: …``, why the site refuses, in its own words on one line; empty when it does not say."""
    body = b""
    with suppress(aiohttp.ClientError, TimeoutError):
        body = await _read_up_to(_MAX_SAID_BYTES, response)
    with suppress(ValueError):  # an image is asked for without encodings, and a refusal has one
        encoding = response.headers.get("Content-Encoding", "")
        body = decoded(body, encoding, _MAX_SAID_BYTES) if body[:2] == b"\x1f\x8b" else body
    told_in = response.charset or texts.encoding(body)
    words = [
        _from_body(body, response.content_type, told_in),
        response.headers.get("WWW-Authenticate", ""),
    ]
    told = "; ".join(text for word in words if (text := one_line(word, _MAX_SAID)))
    return f": {told}" if told else ""


def one_line(text: str, most: int) -> str:
    """``text`` of a stranger for a message: one printable line of at most ``most`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _from_body(body: bytes, content_type: str, charset: str) -> str:
    try:
        text = body.decode(charset, errors="ignore").lstrip("\ufeff")
    except LookupError:  # no encoding that there is
        text = body.decode(errors="ignore")
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return "; ".join(_told(json.loads(text)))
    if "<" in text:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XML is read as well
            title = BeautifulSoup(text, "html.parser").find(["title", "h1", "message"])
        return title.get_text(" ") if title else ""
    return text if content_type.startswith("text/") else ""


def _told(value: Any) -> Iterator[str]:
    """What a JSON answer says, wherever sites put it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _told(item)
    elif isinstance(value, dict):
        value = {str(key).lower(): item for key, item in value.items()}
        known = next((value[key] for key in _TELLING if value.get(key)), None)
        if known is not None:
            keys = {str(key).lower() for key in known} if isinstance(known, dict) else set()
            inner = known if isinstance(known, dict) and not keys & set(_TELLING) else None
            pairs = (f"{key}: {', '.join(_told(item))}" for key, item in (inner or {}).items())
            yield from pairs if inner else _told(known)


async def _read_up_to(most: int, response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= most:
            break
    return bytes(body[:most])

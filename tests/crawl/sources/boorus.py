"""Small sites of each kind, hand-made: how they state a post and how they answer a search."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.crawl.misbehaving import Fault, Site, body

Row = dict[str, Any]
SITE = "http://site.demo"


def danbooru_row(number: int, **changes: Any) -> Row:
    row = {
        "id": number,
        "created_at": f"2024-01-{1 + number % 28:02}T12:00:00.000-05:00",
        "rating": "g",
        "md5": f"{number:032x}",
        "image_width": 640,
        "image_height": 480,
        "tag_string": "1girl blonde_hair",
        "tag_string_artist": "somebody",
        "source": "https://example.org/original",
        "file_url": f"{SITE}/original/{number}.png",
    }
    return row | changes


def gelbooru_row(number: int, **changes: Any) -> Row:
    row = {
        "id": number,
        "created_at": f"Mon Jan {1 + number % 28:02} 12:00:00 -0500 2024",
        "change": 1_700_000_000,
        "rating": "general",
        "md5": f"{number:032X}",
        "width": 640,
        "height": 480,
        "directory": "ab/cd",
        "image": f"{number}.png",
        "owner": "uploader",
        "tags": html.escape("1girl jack-o'_lantern"),
        "source": "https://example.org/original",
        "file_url": f"{SITE}//images/ab/cd/{number}.png",
    }
    return row | changes


def old_gelbooru_row(number: int, **changes: Any) -> Row:
    """As safebooru.org states a post: no address, no date, and the md5 is called hash."""
    row = {
        "id": number,
        "change": 1_700_000_000,
        "rating": "safe",
        "hash": f"{number:032x}",
        "width": 640,
        "height": 480,
        "directory": 2308,
        "image": f"a file {number}.png",
        "owner": "uploader",
        "tags": " 1girl  blonde_hair ",
    }
    return row | changes


def moebooru_row(number: int, **changes: Any) -> Row:
    row = {
        "id": number,
        "created_at": 1_704_000_000 + number,
        "rating": "s",
        "status": "active",
        "author": "uploader",
        "md5": f"{number:032x}",
        "width": 640,
        "height": 480,
        "tags": "1girl blonde_hair",
        "source": "",
        "file_url": f"{SITE}/image/{number}/site%20{number}.png",
    }
    return row | changes


def zerochan_row(number: int, **changes: Any) -> Row:
    row = {
        "id": number,
        "width": 640,
        "height": 480,
        "thumbnail": f"{SITE}/240/{number}.jpg",
        "source": "https://example.org/original",
        "tag": "Somebody",
        "tags": ["Female", "Long Hair", "Text: Good Morning"],
    }
    return row | changes


def zerochan_entry(number: int, **changes: Any) -> Row:
    entry = {
        "id": number,
        "full": f"{SITE}/Somebody.full.{number}.png",
        "size": 12345,
        "hash": f"{number:032x}",
        "primary": "Somebody",
        "tags": ["Female"],
    }
    return entry | changes


@dataclass(frozen=True)
class Kind:
    """A kind of site. ``below``: the id in the address of a listing; ``wrap``: its page."""

    type: str
    row: Callable[..., Row]
    below: Callable[[str], int | None]
    wrap: Callable[[list[Row]], Any] = field(default=list)

    def page(self, rows: list[Row]) -> bytes:
        return json.dumps(self.wrap(rows)).encode()


def _query(path: str, key: str, pattern: str) -> int | None:
    values = parse_qs(urlsplit(path).query).get(key, [""])
    found = re.search(pattern, values[0])
    return int(found[1]) if found else None


def _wrap_gelbooru(rows: list[Row]) -> Any:
    attributes = {"limit": 100, "offset": 0, "count": len(rows)}
    return {"@attributes": attributes} | ({"post": rows} if rows else {})


KINDS = {
    "danbooru": Kind("danbooru", danbooru_row, lambda path: _query(path, "page", r"^b(\d+)$")),
    "gelbooru": Kind(
        "gelbooru",
        gelbooru_row,
        lambda path: _query(path, "tags", r"\bid:<(\d+)$"),
        _wrap_gelbooru,
    ),
    "old gelbooru": Kind(
        "gelbooru", old_gelbooru_row, lambda path: _query(path, "tags", r"\bid:<(\d+)$")
    ),
    "moebooru": Kind("moebooru", moebooru_row, lambda path: _query(path, "tags", r"id:<(\d+)$")),
    "zerochan": Kind(
        "zerochan",
        zerochan_row,
        lambda path: _query(path, "o", r"^(\d+)$"),
        lambda rows: {"items": rows},
    ),
}


def declared(kind: Kind, **keys: Any) -> dict[str, Any]:
    return {"name": "booru", "type": kind.type, "url": SITE} | keys


class Answers(dict[str, Fault]):
    """What a site answers, decided by a function of the path; None: as the site would."""

    def __init__(self, answer: Callable[[str], bytes | Fault | None]) -> None:
        super().__init__()
        self._answer = answer

    def get(self, path: str, default: Any = None) -> Any:
        answer = None if path == "/robots.txt" else self._answer(path)
        if answer is None:
            return super().get(path, default)
        return body(answer) if isinstance(answer, bytes) else answer


def serve(site: Site, kind: Kind, rows: list[Row], page_size: int = 100) -> None:
    """Lets ``site`` list ``rows``, which may change meanwhile, as its kind does."""

    def answer(path: str) -> bytes:
        entry = re.fullmatch(r"/(\d+)\?json", path)
        if entry:
            return json.dumps(zerochan_entry(int(entry[1]))).encode()
        below = kind.below(path)
        found = [row for row in rows if below is None or row["id"] < below]
        return kind.page(sorted(found, key=lambda row: -row["id"])[:page_size])

    site.faults = Answers(answer)

"""The demo's web: a danbooru-like JSON API and an HTML gallery over HTTP on loopback."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from pipeline.core import json_files, tables

ITEMS_PER_PAGE = 24
_DEFAULT_LIMIT, _MAX_LIMIT = 20, 200  # danbooru's
_LICENCE_URLS = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


class _File(NamedTuple):
    content_type: str
    status: int
    data: bytes


class _BooruRow(json_files.Part):
    id: int
    file_url: str
    tag_string: str
    rating: str


class _GalleryRow(json_files.Part):
    id: int
    path: str
    tags: list[str]
    width: int
    height: int
    artist: str
    rating: str
    licence: Literal[tuple(_LICENCE_URLS)]  # type: ignore[valid-type]


class _Posts(json_files.Part):
    booru: list[_BooruRow]
    gallery: list[_GalleryRow]


class _Site:
    """What a gallery folder holds, in memory."""

    def __init__(self, folder: Path) -> None:
        with tables.opened(folder / "pages.parquet") as table:
            rows = table.read().to_pylist()
        self.files = {r["path"]: _File(r["content_type"], r["status"], r["bytes"]) for r in rows}
        posts = json_files.read(folder / "posts.json", _Posts, "dvc repro demo")
        self.booru: list[dict[str, Any]] = posts["booru"]
        self.gallery: list[dict[str, Any]] = posts["gallery"]


@contextmanager
def serve(gallery_dir: Path) -> Iterator[tuple[str, int]]:
    """Serve what `build_gallery` wrote; yields (host, port) on 127.0.0.1 until the block ends.

    `/posts.json?limit=&page=&tags=` answers as danbooru does (`page=b<ID>`, `a<ID>` or a number;
    tags are ANDed, `-tag` excludes, `rating:g` filters), newest first. `/` (or `/?page=N`) lists
    the HTML gallery: `article.item` with `a.image`, `a.tag`, `.artist`, `.rating`, `a[rel=license]`
    and `a[rel=next]`. Links are absolute, on the host that the request named. Image files answer
    HEAD and single byte ranges (206).
    """
    site = _Site(gallery_dir)
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield "127.0.0.1", server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    site: _Site
    protocol_version = "HTTP/1.1"
    # One packet for headers and body: two would wait for a delayed acknowledgement (40 ms).
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: N802 (the library's name)
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if url.path == "/robots.txt":
            self._send(HTTPStatus.OK, "text/plain; charset=utf-8", b"User-agent: *\nAllow: /\n")
        elif url.path == "/posts.json":
            self._posts(query)
        elif url.path == "/":
            self._gallery(query)
        elif url.path in self.site.files:
            self._file(self.site.files[url.path])
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET  # noqa: N815 (the library's name); `_send` leaves the body out

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the client logs what it asked."""

    def _posts(self, query: dict[str, str]) -> None:
        try:
            limit = min(int(query.get("limit", _DEFAULT_LIMIT)), _MAX_LIMIT)
            rows = _search(self.site.booru, query.get("tags", ""))
            rows = _booru_page(rows, query.get("page", "1"), limit)
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        answer = [row | {"file_url": self._absolute(row["file_url"])} for row in rows]
        self._send(HTTPStatus.OK, "application/json; charset=utf-8", json.dumps(answer).encode())

    def _gallery(self, query: dict[str, str]) -> None:
        page = query.get("page", "1")
        if not page.isdecimal() or int(page) < 1:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        start = (int(page) - 1) * ITEMS_PER_PAGE
        shown = self.site.gallery[start : start + ITEMS_PER_PAGE]
        lines = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">']
        lines.append(f"<title>Gallery, page {page}</title></head><body><main>")
        lines += [_item(post, self._absolute(post["path"])) for post in shown]
        lines.append("</main>")
        if start + ITEMS_PER_PAGE < len(self.site.gallery):
            more = self._absolute(f"/?page={int(page) + 1}")
            lines.append(f'<nav><a rel="next" href="{html.escape(more)}">older</a></nav>')
        lines.append("</body></html>")
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", "\n".join(lines).encode())

    def _file(self, file: _File) -> None:
        if file.status != HTTPStatus.OK:
            self.send_error(file.status)
            return
        total = len(file.data)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None or not (wanted[1] or wanted[2]):
            self._send(HTTPStatus.OK, file.content_type, file.data, {"Accept-Ranges": "bytes"})
            return
        if wanted[1]:
            start, stop = int(wanted[1]), min(int(wanted[2] or total) + 1, total)
        else:  # the last n bytes
            start, stop = max(total - int(wanted[2]), 0), total
        if start >= stop:
            headers = {"Content-Range": f"bytes */{total}"}
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, file.content_type, b"", headers)
            return
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{total}", "Accept-Ranges": "bytes"}
        part = file.data[start:stop]
        self._send(HTTPStatus.PARTIAL_CONTENT, file.content_type, part, headers)

    def _send(
        self,
        status: HTTPStatus,
        content_type: str,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _absolute(self, path: str) -> str:
        return f"http://{self.headers.get('Host', '127.0.0.1')}{path}"


def _search(posts: list[dict[str, Any]], tags: str) -> list[dict[str, Any]]:
    """Posts that have every word of `tags`."""
    for word in tags.split():
        wanted = not word.startswith("-")
        word = word.removeprefix("-")
        if word.startswith("rating:"):
            first = word.removeprefix("rating:")[:1]
            posts = [post for post in posts if (post["rating"] == first) == wanted]
        else:
            posts = [post for post in posts if (word in post["tag_string"].split()) == wanted]
    return posts


def _booru_page(posts: list[dict[str, Any]], page: str, limit: int) -> list[dict[str, Any]]:
    """`b<ID>`: the newest below ID; `a<ID>`: the oldest above it; otherwise the Nth page.

    Raises ValueError for anything else.
    """
    if page.startswith("b"):
        return [post for post in posts if post["id"] < int(page[1:])][:limit]
    if page.startswith("a"):
        newer = [post for post in posts if post["id"] > int(page[1:])]
        return newer[max(len(newer) - limit, 0) :]
    start = (max(int(page), 1) - 1) * limit
    return posts[start : start + limit]


def _item(post: dict[str, Any], image: str) -> str:
    """One picture of the HTML gallery."""
    quote = html.escape
    tags = " ".join(f'<a class="tag" href="#">{quote(tag)}</a>' for tag in post["tags"])
    licence = post["licence"]
    return (
        f'<article class="item" id="art-{post["id"]}" data-tags="{quote(" ".join(post["tags"]))}">'
        f'<a class="image" href="{quote(image)}" data-width="{post["width"]}" '
        f'data-height="{post["height"]}">full size</a> '
        f'<span class="artist">{quote(post["artist"])}</span> '
        f'<span class="rating">{quote(post["rating"])}</span> '
        f'<a rel="license" href="{_LICENCE_URLS[licence]}">{quote(licence)}</a> '
        f'<p class="tags">{tags}</p></article>'
    )

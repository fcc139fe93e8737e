"""Whatever a site answers: the right posts, or a SourceError that names source and page."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawl.archives.reader import ArchiveReader, member_url
from crawl.errors import CrawlError
from crawl.outcomes import FetchError
from crawl.posts import Post, posts_frame
from crawl.sources.base import parse_source
from crawl.web.answers import Page
from crawl.web.urls import absolute, web_host
from tests.crawl.archives.test_archives import FILES, WRITERS, structs, write_parquet
from tests.crawl.sources.boorus import KINDS, SITE, Kind, Row, declared, zerochan_entry

quickly = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 5, 2**31, 2**63, 2**64, 10**4000, 1e400, -1e400, float("nan"), 0.5]),
    st.sampled_from(["", "\ud800", "\0", "g", "s", "safe", "general", "nan", "9" * 40, "é" * 9]),
    st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-01-01"]),
    st.sampled_from(
        ["Wed Mar 15 09:46:20 -0500 9999", "http://[", "//", "file:/etc#x", "http://a:b"]
    ),
    st.text(max_size=8),
    st.integers(),
    st.sampled_from([[], {}, [[]], [None], [{}], {"id": 1}, [[[[[["deep"]]]]]], ["\udfff"]]),
    st.just("<html>"),
).map(copy.deepcopy)  # parts of it are mangled in turn


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value something can be replaced."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path]
    for key, item in inner if isinstance(value, dict | list) else ():
        found += paths(item, (*path, key)) if isinstance(item, dict | list) else [(*path, key)]
    return found


@st.composite
def mangled_values(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with up to three parts dropped, replaced or repeated."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(value, dict | list):
            break
        path = draw(st.sampled_from(paths(value)))
        if not path:  # all of it
            value = draw(JUNK)
            continue
        holder, last = value, path[-1]
        for key in path[:-1]:
            holder = holder[key]
        change = draw(st.sampled_from(["replace", "replace", "drop", "repeat"]))
        if change == "replace":
            holder[last] = draw(JUNK)
        elif change == "drop":
            del holder[last]
        elif isinstance(holder, list):
            holder.append(holder[last])
        else:
            holder[f"{last}2"] = holder[last]
    return value


def mangled_bytes(page: bytes) -> st.SearchStrategy[bytes]:
    """Truncated, with some bytes replaced, or something else altogether."""
    places = st.integers(0, len(page) - 1)

    def replace(edits: dict[int, int]) -> bytes:
        changed = bytearray(page)
        for place, byte in edits.items():
            changed[place] = byte
        return bytes(changed)

    return st.one_of(
        places.map(lambda end: page[:end]),
        places.map(lambda start: page[start:]),
        st.dictionaries(places, st.integers(0, 255), min_size=1, max_size=4).map(replace),
        st.binary(max_size=40),
        st.text(max_size=20).map(lambda text: f"<html><p>{text}".encode(errors="replace")),
        st.sampled_from(
            [b"[" * 100_000, b'{"items":' * 50_000, b"NaN", b"[NaN]", b"9" * 5000, b"\xff\xfe["]
            + [page.decode().encode("utf-16"), page + page, b"\xef\xbb\xbf" + page, b"null", b"{}"]
        ),
    )


class Web:
    """In place of a Session: one page with posts, then the end; every entry of zerochan."""

    def __init__(self, kind: Kind, page: bytes, entry: bytes | None = None) -> None:
        self._kind, self._page, self._entry = kind, page, entry

    def page(self, url: str, *_: Any) -> Page:
        path = url.removeprefix(SITE)
        if path.endswith("?json"):
            own = json.dumps(zerochan_entry(int(path[1:-5]))).encode()
            return Page(url, own if self._entry is None else self._entry)
        first = self._kind.below(path) is None
        return Page(url, self._page if first else self._kind.page([]))


def ask(kind: Kind, page: bytes, entry: bytes | None = None) -> tuple[list[Post], int] | None:
    """The posts that are listed and how many were seen; None when the source broke off."""
    source = parse_source(declared(kind))
    listing = source.discover(Web(kind, page, entry))  # type: ignore[arg-type]
    for message in [*listing.remarks(), *([str(listing.stopped)] if listing.stopped else [])]:
        assert message.startswith("source 'booru'")
        assert "\n" not in message
        message.encode()
    pa.Table.from_pandas(posts_frame(listing.posts))  # can be stored
    if listing.stopped:
        assert str(listing.stopped).startswith(f"source 'booru', {SITE}/")
        return None
    return listing.posts, listing.verdicts.total()


def rows_in(page: bytes) -> list[Any]:
    """The rows of a page that was not refused, found without the code under test."""
    if not page.strip():
        return []
    value = json.loads(page, strict=False)
    if isinstance(value, dict):
        value = value.get("items", value.get("post", []))
    return [value] if isinstance(value, dict) else value


def check(kind: Kind, page: bytes, valid: list[Row]) -> None:
    answer = ask(kind, page)
    if answer is None:
        return
    posts, seen = answer
    rows = rows_in(page)
    assert seen == len(rows)
    if not rows:
        assert is_empty_page(kind, page)
    right = {post.post_id: post for post in ask(kind, kind.page(valid))[0]}  # type: ignore[index]
    untouched = {str(row["id"]) for row in rows if row in valid}
    for post in posts:
        assert web_host(post.url)
        ids = [str(row.get("id")) for row in rows if isinstance(row, dict)]
        if post.post_id in untouched and ids.count(post.post_id) == 1:
            assert post == right[post.post_id]


def is_empty_page(kind: Kind, page: bytes) -> bool:
    if kind.type == "gelbooru" and not page.strip():
        return True
    value = json.loads(page, strict=False)
    if value == []:
        return kind.type != "zerochan"
    if kind.type == "gelbooru":
        return isinstance(value["@attributes"], dict) and value.get("post", []) == []
    return kind.type == "zerochan" and value["items"] == []


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@quickly
@given(data=st.data())
def test_mangled_fields(kind: Kind, data: st.DataObject) -> None:
    valid = [kind.row(number) for number in (31, 30, 29)]
    value = data.draw(mangled_values(kind.wrap(valid)))
    check(kind, json.dumps(value).encode(), valid)


@quickly
@given(data=st.data())
def test_mangled_bytes(kind: Kind, data: st.DataObject) -> None:
    valid = [kind.row(number) for number in (31, 30)]
    check(kind, data.draw(mangled_bytes(kind.page(valid))), valid)


@quickly
@given(data=st.data())
def test_mangled_entries_of_zerochan(data: st.DataObject) -> None:
    kind = KINDS["zerochan"]
    entry = zerochan_entry(7)
    mangled = data.draw(
        st.one_of(
            mangled_values(entry).map(lambda value: json.dumps(value).encode()),
            mangled_bytes(json.dumps(entry).encode()),
        )
    )
    answer = ask(kind, kind.page([kind.row(7)]), mangled)
    if answer is not None:
        posts, seen = answer
        assert seen == 1
        assert all(json.loads(mangled, strict=False)["id"] == 7 for _ in posts)


LINKS = st.one_of(
    st.text(max_size=30),
    st.text("htps:/.?#@[]%\\ \t\n0aé\ud800", max_size=20),
    st.sampled_from(["http://[", "http://a:b/", "http://a:99999/", "//", "///x", "http://", "?"]),
)


@settings(quickly, max_examples=1000)
@given(LINKS)
def test_any_text_can_be_asked_for_its_host(url: str) -> None:
    host = web_host(url)
    assert host == host.lower()
    assert not set(host) & set("/@?#\t\n\r")
    if host:
        assert web_host(f"HTTPS://somebody:secret@{host}/x") == host


def test_host_with_a_port_that_cannot_be_is_none() -> None:
    assert web_host("http://Site.demo:8080/x") == "site.demo:8080"
    assert web_host("http://site.demo:b/x") == web_host("http://site.demo:99999/x") == ""


@settings(quickly, max_examples=1000)
@given(LINKS)
def test_links_become_absolute_or_empty(link: str) -> None:
    page = f"{SITE}/posts/list?page=2"
    url = absolute(page, link)
    assert absolute(page, url) == url
    assert bool(url) <= bool(link.strip())


@settings(quickly, max_examples=300)
@given(st.lists(st.text("abc0-_~é ", min_size=1).filter(lambda s: s.strip()), min_size=1))
def test_relative_links_stay_on_their_site(names: list[str]) -> None:
    path = "/".join(names)
    for link in (path, f"/{path}", f"./{path}", f"../../../{path}", f"?{path}", f" {path}\n"):
        assert web_host(absolute(f"{SITE}/a/b", link)) == "site.demo"
    assert web_host(absolute(f"{SITE}/a/b", f"//other.demo/{path}")) == "other.demo"


@pytest.mark.parametrize("name", [*(name for name in WRITERS if name != "folder"), "set.parquet"])
@settings(quickly, max_examples=60)
@given(data=st.data())
def test_damaged_archives(name: str, data: st.DataObject) -> None:
    files = dict(list(FILES.items())[:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name in WRITERS:
            WRITERS[name](path, files)
            members = list(files)
        else:
            write_parquet(path, structs(files), tags=["x"] * 3)
            members = [f"image/{number:09}" for number in range(3)]
        path.write_bytes(data.draw(mangled_bytes_of_archive(path.read_bytes())))
        keys = {"tags_column": "tags"} if name == "set.parquet" else {}
        source = parse_source({"name": "set", "type": "archive", "path": path} | keys)
        try:
            listing = source.discover(None)  # type: ignore[arg-type]  # nothing is asked
            assert not listing.stopped or name in str(listing.stopped)
        except CrawlError as error:
            assert name in str(error)
        reader = ArchiveReader()
        for member in members:
            try:
                assert len(reader.read(member_url(path, member), 10_000)) <= 10_000
            except FetchError as failure:
                assert failure.reason


def mangled_bytes_of_archive(data: bytes) -> st.SearchStrategy[bytes]:
    places = st.one_of(st.integers(0, len(data) - 1), st.integers(0, min(600, len(data) - 1)))

    def replace(edits: dict[int, int]) -> bytes:
        changed = bytearray(data)
        for place, byte in edits.items():
            changed[place] = byte
        return bytes(changed)

    return st.one_of(
        places.map(lambda end: data[:end]),
        st.dictionaries(places, st.integers(0, 255), min_size=1, max_size=6).map(replace),
        places.map(lambda start: data[:start] + data[start + 1 :]),
    )

"""Each kind of site against real HTTP, with real responses and hand-made ones."""

from __future__ import annotations

import html
import json
import logging
from base64 import b64encode
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crawl.errors import CrawlError, SourceError
from crawl.posts import Post, iterate_posts
from crawl.sources import discover
from crawl.sources.base import parse_source
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site, body, status
from tests.crawl.sources.boorus import (
    KINDS,
    SITE,
    Answers,
    Kind,
    declared,
    gelbooru_row,
    moebooru_row,
    old_gelbooru_row,
    serve,
    zerochan_entry,
    zerochan_row,
)

KEY = "k3y+of/a=user"


def pages(site: Site) -> list[str]:
    return [seen.path for seen in site.seen if seen.path != "/robots.txt"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_listing_is_followed_to_its_end_while_others_upload(
    kind: Kind, site: Site, connect: Any
) -> None:
    rows = [kind.row(number) for number in range(1, 26)]
    serve(site, kind, rows, page_size=10)
    stop_at = iter(range(100, 200))
    answer = site.faults.get

    def with_uploads(path: str, default: Any = None) -> Any:
        fault = answer(path, default)
        if path != "/robots.txt":
            rows.append(kind.row(next(stop_at)))  # after every answer
        return fault

    site.faults.get = with_uploads  # type: ignore[method-assign]
    frame, counts = discover([declared(kind)], connect(quick()))
    assert sorted(map(int, frame["post_id"])) == list(range(1, 26))
    assert counts == {"booru/listed": 25}
    listings = [kind.below(path) for path in pages(site) if not path.endswith("?json")]
    assert listings == [None, 16, 6, 1]


def test_limit_and_before_ask_for_no_more_than_needed(kind: Kind, site: Site, connect: Any) -> None:
    serve(site, kind, [kind.row(number) for number in range(1, 60)], page_size=10)
    frame, _ = discover([declared(kind, limit=7, before=41)], connect(quick()))
    assert sorted(map(int, frame["post_id"])) == list(range(34, 41))
    listings = [kind.below(path) for path in pages(site) if not path.endswith("?json")]
    assert listings == [41]


def test_page_that_does_not_go_down_is_an_error(kind: Kind, site: Site, connect: Any) -> None:
    page = kind.page([kind.row(5)])
    entry = json.dumps(zerochan_entry(5)).encode()
    site.faults = Answers(lambda path: entry if path == "/5?json" else page)
    with pytest.raises(SourceError, match=r"source 'booru', http://site\.demo/.*: lists post 5"):
        discover([declared(kind)], connect(quick()))


def test_snapshot_is_a_day_in_utc(site: Site, connect: Any) -> None:
    kind = KINDS["danbooru"]
    times = ["2024-01-31T18:59:59-05:00", "2024-01-31T19:00:00-05:00", "2024-02-01T08:00:00+09:00"]
    serve(site, kind, [kind.row(n, created_at=time) for n, time in enumerate(times, 1)])
    frame, counts = discover([declared(kind, snapshot=date(2024, 1, 31))], connect(quick()))
    assert list(frame["post_id"]) == ["1", "3"]
    assert counts == {"booru/listed": 2, "booru/dropped_after_snapshot": 1}


@pytest.mark.parametrize("name", ["old gelbooru", "zerochan"])
def test_snapshot_of_a_site_without_dates_is_an_error(name: str, site: Site, connect: Any) -> None:
    serve(site, KINDS[name], [KINDS[name].row(5)])
    with pytest.raises(SourceError, match="post 5: .* no date .* 'snapshot' .* 'before'"):
        discover([declared(KINDS[name], snapshot=date(2024, 1, 31))], connect(quick()))


EXPECTED = {
    "gelbooru": Post(
        url=f"{SITE}//images/ab/cd/171.png",
        source="booru",
        post_id="171",
        md5=f"{171:032x}",
        width=640,
        height=480,
        rating="general",
        tags="1girl jack-o'_lantern",
        source_link="https://example.org/original",
        created_at=datetime(2024, 1, 4, 17, tzinfo=UTC),
    ),
    "old gelbooru": Post(
        url=f"{SITE}/images/2308/a%20file%20171.png",
        source="booru",
        post_id="171",
        md5=f"{171:032x}",
        width=640,
        height=480,
        rating="general",
        tags="1girl blonde_hair",
    ),
    "moebooru": Post(
        url=f"{SITE}/image/171/site%20171.png",
        source="booru",
        post_id="171",
        md5=f"{171:032x}",
        width=640,
        height=480,
        rating="general",
        tags="1girl blonde_hair",
        created_at=datetime(2023, 12, 31, 5, 22, 51, tzinfo=UTC),
    ),
    "zerochan": Post(
        url=f"{SITE}/Somebody.full.171.png",
        source="booru",
        post_id="171",
        md5=f"{171:032x}",
        width=640,
        height=480,
        rating="general",
        tags="Female Long_Hair Text:_Good_Morning",
        source_link="https://example.org/original",
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_row_keeps_all_that_the_site_says(name: str, site: Site, connect: Any) -> None:
    serve(site, KINDS[name], [KINDS[name].row(171)])
    frame, _ = discover([declared(KINDS[name])], connect(quick()))
    assert list(iterate_posts(frame)) == [EXPECTED[name]]


RATINGS = {
    "danbooru": ["g", "s", "q", "e"],
    "gelbooru": ["general", "safe", "sensitive", "questionable", "explicit", "s", "q", "e"],
    "moebooru": ["s", "q", "e", "g"],
}
GENERAL = {"danbooru": {"g"}, "gelbooru": {"general", "safe"}, "moebooru": {"s"}}


@pytest.mark.parametrize("name", RATINGS)
def test_only_general_ratings_are_listed(name: str, site: Site, connect: Any) -> None:
    ratings = [*RATINGS[name], None]
    rows = [KINDS[name].row(n, rating=rating) for n, rating in enumerate(ratings, 1)]
    serve(site, KINDS[name], rows)
    frame, counts = discover([declared(KINDS[name])], connect(quick()))
    listed = {ratings[int(post_id) - 1] for post_id in frame["post_id"]}
    assert listed == GENERAL[name]
    assert set(frame["rating"]) == {"general"}
    assert counts["booru/dropped_unrated"] == 1


def test_zerochan_asks_only_for_entries_that_are_listed(site: Site, connect: Any) -> None:
    rows = [
        zerochan_row(1),
        zerochan_row(2, tags=["Female", "Ecchi"]),
        zerochan_row(3, tags=["Partially Nude"]),
        zerochan_row(4, tags=[]),
        zerochan_row(5, tags=["Nudelman"]),
    ]
    serve(site, KINDS["zerochan"], rows)
    frame, counts = discover([declared(KINDS["zerochan"])], connect(quick()))
    assert sorted(frame["post_id"]) == ["1", "5"]
    assert [path for path in pages(site) if path.endswith("?json")] == ["/5?json", "/1?json"]
    assert counts == {
        "booru/listed": 2,
        "booru/dropped_rating": 2,
        "booru/dropped_unrated": 1,
    }


def test_zerochan_names_are_searched_as_the_site_writes_them(site: Site, connect: Any) -> None:
    serve(site, KINDS["zerochan"], [])
    discover([declared(KINDS["zerochan"], tags="Hatsune Miku, Solo")], connect(quick()))
    assert pages(site) == ["/Hatsune+Miku,Solo?json&l=100&s=id"]


def test_zerochan_entry_that_is_gone_and_end_that_is_404(site: Site, connect: Any) -> None:
    listing = KINDS["zerochan"].page([zerochan_row(1), zerochan_row(2)])
    answers = {
        "/?json&l=100&s=id": listing,
        "/2?json": json.dumps(zerochan_entry(2)).encode(),
    }
    site.faults = Answers(answers.get)
    frame, counts = discover([declared(KINDS["zerochan"])], connect(quick()))
    assert list(frame["post_id"]) == ["2"]
    assert counts == {"booru/listed": 1, "booru/dropped_no_image": 1}
    with pytest.raises(SourceError, match="/Nobody.*: gone: HTTP 404"):
        discover([declared(KINDS["zerochan"], tags="Nobody")], connect(quick()))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"<html>busy</html>", "is not JSON"),
        (b"[]", "holds something else"),
        (b'{"full": "x.png"}', "without an id"),
        (json.dumps(zerochan_entry(8)).encode(), "is the page of post 8"),
        (json.dumps(zerochan_entry(7, hash="short")).encode(), "'hash' is 'short', not an md5"),
        (json.dumps(zerochan_entry(7, full=["x"])).encode(), "'full' is"),
    ],
)
def test_mangled_entry_names_its_page(entry: bytes, reason: str, site: Site, connect: Any) -> None:
    kind = KINDS["zerochan"]
    listing, end = kind.page([zerochan_row(7)]), kind.page([])
    site.faults = Answers(
        lambda path: entry if path == "/7?json" else end if "o=7" in path else listing
    )
    with pytest.raises(SourceError, match=rf"source 'booru', {SITE}/7\?json: .*{reason}"):
        discover([declared(KINDS["zerochan"])], connect(quick()))


@pytest.mark.parametrize(
    "empty",
    [b"", b" \r\n", b"[]", b'{"@attributes":{"count":0}}', b'{"@attributes":{},"post":[]}'],
)
def test_gelbooru_listing_may_end_in_many_ways(empty: bytes, site: Site, connect: Any) -> None:
    site.faults = Answers(lambda path: empty)
    _, counts = discover([declared(KINDS["gelbooru"])], connect(quick()))
    assert counts == {"booru/listed": 0}


@pytest.mark.parametrize(
    "page",
    [b"null", b"{}", b'{"post":[]}', b'"Missing authentication"', b'{"@attributes":[]}', b"0"]
    + [b'{"@attributes":{},"post":null}', b'{"@attributes":{},"post":""}', b"<posts/>"],
)
def test_what_only_looks_like_the_end_of_gelbooru_is_an_error(
    page: bytes, site: Site, connect: Any
) -> None:
    site.faults = Answers(lambda path: page)
    with pytest.raises(SourceError, match="is not a list of posts|is not JSON"):
        discover([declared(KINDS["gelbooru"])], connect(quick()))


def test_gelbooru_single_post_and_address_of_older_sites(site: Site, connect: Any) -> None:
    alone = json.dumps({"@attributes": {"count": 1}, "post": gelbooru_row(9)}).encode()
    site.faults = Answers(lambda path: b"" if "%3C" in path else alone)
    frame, _ = discover([declared(KINDS["gelbooru"])], connect(quick()))
    assert list(frame["post_id"]) == ["9"]
    rows = [old_gelbooru_row(1, directory="ab/cd"), old_gelbooru_row(2, image=None)]
    serve(site, KINDS["old gelbooru"], rows)
    frame, counts = discover([declared(KINDS["old gelbooru"])], connect(quick()))
    assert list(frame["url"]) == [f"{SITE}/images/ab/cd/a%20file%201.png"]
    assert counts == {"booru/listed": 1, "booru/dropped_no_image": 1}


def test_moebooru_post_without_a_file_is_dropped(site: Site, connect: Any) -> None:
    deleted = moebooru_row(3, status="deleted")
    del deleted["file_url"], deleted["md5"]
    serve(site, KINDS["moebooru"], [deleted])
    _, counts = discover([declared(KINDS["moebooru"])], connect(quick()))
    assert counts == {"booru/listed": 0, "booru/dropped_no_image": 1}


@pytest.mark.parametrize(
    "change",
    [{"tags": 3}, {"tags": "\ud800"}, {"source": 0}, {"source": []}, {"width": "640"}]
    + [{"width": 2**31}, {"width": True}, {"md5": "x"}, {"created_at": 0.5}],
)
def test_one_unfit_field_costs_its_post(
    change: dict[str, Any], site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(site, KINDS["moebooru"], [moebooru_row(4), moebooru_row(3, **change), moebooru_row(2)])
    frame, counts = discover([declared(KINDS["moebooru"])], connect(quick()))
    assert sorted(frame["post_id"]) == ["2", "4"]
    assert counts == {"booru/listed": 2, "booru/dropped_unreadable": 1}
    line = capsys.readouterr().err
    assert f"source 'booru': 1 entry left out, post 3: its '{[*change][0]}' is" in line


@pytest.mark.parametrize(
    "created", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00Z", "2024-01-01T12:00:00", "now"]
)
def test_time_that_cannot_be_is_an_error(created: str, site: Site, connect: Any) -> None:
    kind = KINDS["danbooru"]
    serve(site, kind, [kind.row(3, created_at=created)])
    with pytest.raises(SourceError, match="post 3: "):
        discover([declared(kind)], connect(quick()))


def test_newest_posts_of_a_page_come_first_whatever_its_order(
    kind: Kind, site: Site, connect: Any
) -> None:
    page = kind.page([kind.row(number) for number in (3, 9, 5)])
    entry = {f"/{n}?json": json.dumps(zerochan_entry(n)).encode() for n in (3, 9, 5)}
    site.faults = Answers(lambda path: entry.get(path, page))
    frame, _ = discover([declared(kind, limit=2)], connect(quick()))
    assert sorted(frame["post_id"]) == ["5", "9"]


def test_robots_txt_is_obeyed_and_the_error_says_what_to_do(
    kind: Kind, site: Site, connect: Any
) -> None:
    serve(site, kind, [kind.row(1)])
    site.faults["/robots.txt"] = body(b"User-agent: *\nDisallow: /*json")
    with pytest.raises(SourceError) as error:
        discover([declared(kind)], connect(quick()))
    message = str(error.value)
    assert message.startswith("source 'booru', http://site.demo/")
    assert "robots.txt of site.demo forbids" in message
    assert "ask the site's owner" in message
    assert "archive" in message
    assert pages(site) == []


@pytest.mark.parametrize(
    ("name", "general"), [("danbooru", 2), ("gelbooru", 3), ("moebooru", 10), ("zerochan", 24)]
)
def test_real_response(name: str, general: int, shared: Path, site: Site, connect: Any) -> None:
    response = (shared / "booru" / name / "posts.json").read_bytes()
    kind = KINDS[name]

    def answer(path: str) -> bytes:
        if path.endswith("?json"):
            return json.dumps(zerochan_entry(int(path[1:-5]))).encode()
        return response if kind.below(path) is None else kind.page([])

    site.faults = Answers(answer)
    frame, counts = discover([declared(kind)], connect(quick()))
    rows = json.loads(response)
    rows = rows if name in ("danbooru", "moebooru") else rows[[*rows][-1]]
    stated = {str(row["id"]): row for row in rows}
    assert counts["booru/listed"] == len(frame) == general
    assert sum(counts.values()) == len(rows)
    for post in iterate_posts(frame):
        row = stated[post.post_id]
        assert post.source_link == row["source"]
        assert post.width == row.get("width", row.get("image_width"))
        assert post.height == row.get("height", row.get("image_height"))
        if name != "zerochan":
            assert (post.url, post.md5) == (row["file_url"], row["md5"])
            assert post.tags == html.unescape(row.get("tags", row.get("tag_string")))
            assert post.created_at and post.created_at.year == 2023
        else:
            assert len(post.tags.split()) == len(row["tags"])


def test_real_gallery_page(shared: Path, site: Site, connect: Any) -> None:
    site.faults = Answers(
        lambda path: (
            (shared / "booru" / "zerochan" / "results.html").read_bytes()
            if path == "/Touhou"
            else b'<ul id="thumbs2"><li><a href="/1"><img src="/1.240.1.jpg"></a></li></ul>'
        )
    )
    gallery = {"name": "gallery", "type": "gallery", "url": f"{SITE}/Touhou", "rating": ""}
    css = {"item": "#thumbs2 li", "image": "img@src", "tags": "p a", "next": "a[rel=next]"}
    frame, counts = discover([gallery | css], connect(quick()))
    assert [path for path in pages(site) if "o=" in path] == ["/Touhou?o=2033437"]
    assert counts["gallery/listed"] == len(frame) > 20
    first = frame[frame["url"].str.endswith("Moriya.Suwako.240.2034432.jpg")].iloc[0]
    assert first["tags"] == "Moriya_Suwako"


KEYED = {"login_env": "SITE_USER", "api_key_env": "SITE_KEY"}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_USER", "4711")
    monkeypatch.setenv("SITE_KEY", KEY)


def hidden(text: str) -> bool:
    token = b64encode(f"4711:{KEY}".encode()).decode()
    return not any(secret in text for secret in (KEY, "k3y", token))


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", ["danbooru", "gelbooru"])
def test_key_is_sent_and_shown_nowhere(
    name: str, site: Site, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kind = KINDS[name]
    serve(site, kind, [kind.row(1)])
    source = parse_source(declared(kind, **KEYED))
    listing = source.discover(connect(quick()))
    asked = [seen for seen in site.seen if seen.path != "/robots.txt"]
    for seen in asked:
        if name == "danbooru":
            token = b64encode(f"4711:{KEY}".encode()).decode()
            assert seen.headers["Authorization"] == f"Basic {token}"
            assert hidden(seen.path)
        else:
            query = parse_qs(urlsplit(seen.path).query)
            assert (query["user_id"], query["api_key"]) == (["4711"], [KEY])
    assert len(asked) == 2
    robots = site.requests("/robots.txt")[0]
    assert hidden(f"{source}{listing}{caplog.text}{robots}")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", ["danbooru", "gelbooru"])
@pytest.mark.parametrize(
    "answer",
    [
        status(401),
        status(500),
        body(b"not JSON"),
        body(b'[{"id": 1, "md5": 2}]'),
        lambda handler, _: status(302, Location=f"http://other.demo{handler.path}")(handler, 0),
        lambda handler, _: status(302, Location=f"{handler.path}&again")(handler, 0),
        lambda handler, _: setattr(handler, "close_connection", True),
    ],
)
def test_no_error_shows_the_key_and_no_other_host_gets_it(
    name: str, answer: Any, site: Site, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.faults = Answers(lambda path: answer)
    both = quick(retries=0, allow_private_hosts=("site.demo", "other.demo"))
    with pytest.raises(SourceError) as error:
        discover([declared(KINDS[name], **KEYED)], connect(both))
    assert "source 'booru', http://site.demo/" in str(error.value)
    assert hidden(f"{error.value}{caplog.text}")
    for seen in site.seen:
        if seen.headers["Host"] != "site.demo":
            assert hidden(f"{seen.path}{seen.headers}")


@pytest.mark.parametrize(
    ("keys", "environment", "message"),
    [
        (KEYED, {}, "SITE_USER is not set"),
        (KEYED, {"SITE_USER": "4711"}, "SITE_KEY is not set"),
        (KEYED, {"SITE_USER": "4711", "SITE_KEY": "k3y\nof"}, "SITE_KEY holds a character"),
        ({"api_key_env": "SITE_KEY"}, {"SITE_KEY": "k3y"}, "'login_env' and 'api_key_env'"),
    ],
)
def test_missing_or_odd_key_is_named(
    keys: dict[str, str],
    environment: dict[str, str],
    message: str,
    connect: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SITE_USER", "SITE_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CrawlError, match=message) as error:
        discover([declared(KINDS["danbooru"], **keys)], connect(quick()))
    assert hidden(str(error.value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "http://me:secret@site.demo"}, "has a name or password before its host"),
        ({"url": "site.demo"}, "key 'url' must be the plain address"),
        ({"url": "http://site.demo/?page=1"}, "key 'url' must be the plain address"),
        ({"tags": "1girl order:score"}, "'order:score'"),
        ({"before": 0}, "key 'before' is 0"),
    ],
)
def test_mistake_in_a_declaration_is_named(
    change: dict[str, Any], message: str, kind: Kind
) -> None:
    with pytest.raises(CrawlError, match=message) as error:
        parse_source(declared(kind) | change)
    assert "secret" not in str(error.value)

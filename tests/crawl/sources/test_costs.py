"""One bad thing costs one thing: an entry its post, a page its source's rest, a source itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawl.errors import SourceError
from crawl.posts import iterate_posts
from crawl.sources import discover
from crawl.sources.listing import IncompleteError
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Fault, Site, body, drop, first, status
from tests.crawl.sources.boorus import (
    KINDS,
    SITE,
    Answers,
    Kind,
    declared,
    serve,
    zerochan_entry,
)

GALLERY = {"name": "gallery", "type": "gallery", "url": f"{SITE}/", "rating": ""}
HTML = b"<html><title>Just a moment</title></html>"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawl.web.retry._FIRST_BACKOFF", 0.001)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def article(link: str, id_: str = "", more: str = "") -> str:
    return f'<article id="{id_}"><img src="{link}">{more}</article>'


def pages(site: Site, *contents: str, endless: bool = False) -> None:
    """A gallery of these pages, each with a link to the next; for ever when ``endless``."""
    addresses = ["/", *(f"/?p={n}" for n in range(2, len(contents) + 1))]
    for n, (address, content) in enumerate(zip(addresses, contents, strict=True)):
        last = n == len(contents) - 1 and not endless
        link = "" if last else f'<a rel="next" href="/?p={n + 2}">on</a>'
        site.faults[address] = body(f"{content}{link}".encode())


# --- entries -------------------------------------------------------------------------------------


def without_id(row: dict[str, Any]) -> Any:
    return {key: value for key, value in row.items() if key != "id"}


ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no id": without_id,
    "an id that is text": lambda row: row | {"id": "x"},
    "no object": lambda row: "<b>removed</b>",
    "nothing": lambda row: None,
    "a list": lambda row: [row],
    "a source that is a number": lambda row: row | {"source": 7},
    "an md5 that is none": lambda row: row | {"md5": "short"},
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_costs_its_post(
    odd: str, kind: Kind, site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [kind.row(number) for number in (9, 8, 7)]
    page = kind.page([rows[0], ODD[odd](rows[1]), rows[2]])
    entries = {f"/{n}?json": json.dumps(zerochan_entry(n)).encode() for n in (9, 8, 7)}

    def answer(path: str) -> bytes:
        return entries.get(path) or (page if kind.below(path) is None else kind.page([]))

    site.faults = Answers(answer)
    frame, counts = discover([declared(kind)], connect(quick()))
    assert sorted(frame["post_id"]) == ["7", "9"]
    assert counts == {"booru/listed": 2, "booru/dropped_unreadable": 1}
    assert "source 'booru': 1 entry left out, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (status(500), "HTTP 500, tried"),
        (status(403), "HTTP 403"),
        (drop(), "tried"),
        (body(HTML), "is not JSON"),
        (body(b""), "is not JSON"),
        (body(b"[1]"), "holds something else"),
    ],
)
def test_an_entry_page_that_cannot_be_had_costs_its_post(
    fault: Fault, reason: str, site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS["zerochan"]
    serve(site, kind, [kind.row(number) for number in range(1, 6)])
    usual = site.faults
    site.faults = Answers(lambda path: fault if path == "/3?json" else usual.get(path))
    frame, counts = discover([declared(kind)], connect(quick()))
    assert sorted(frame["post_id"]) == ["1", "2", "4", "5"]
    assert counts["booru/dropped_unreadable"] == 1
    assert reason in capsys.readouterr().err


def test_entries_none_of_which_can_be_read_are_an_error(
    kind: Kind, site: Site, connect: Any
) -> None:
    """The site has another format now: an empty data set would hide it."""
    serve(site, kind, [kind.row(number, source=[]) for number in range(1, 10)])
    with pytest.raises(IncompleteError, match=r"post 9: its 'source' is .*; 0 posts of it"):
        discover([declared(kind)], connect(quick()))
    assert len(site.seen) <= 3


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [status(404), status(410), body(b""), body(b" \n")])
def test_a_last_page_that_is_missing_or_empty_is_the_end(
    end: Fault, kind: Kind, site: Site, connect: Any
) -> None:
    page = kind.page([kind.row(4), kind.row(3)])
    entries = {f"/{n}?json": json.dumps(zerochan_entry(n)).encode() for n in (4, 3)}
    site.faults = Answers(
        lambda path: entries.get(path) or (page if kind.below(path) is None else end)
    )
    frame, counts = discover([declared(kind)], connect(quick()))
    assert sorted(frame["post_id"]) == ["3", "4"] and counts == {"booru/listed": 2}


@pytest.mark.parametrize("end", [status(404), body(b""), body(b"<p>nothing more</p>")])
def test_a_last_page_of_a_gallery_that_is_missing_or_empty_is_the_end(
    end: Fault, site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pages(site, article("/1.png"), article("/2.png"), endless=True)
    site.faults["/?p=3"] = end
    frame, counts = discover([GALLERY], connect(quick()))
    assert len(frame) == 2 and counts == {"gallery/listed": 2}
    assert f"source 'gallery', {SITE}/?p=3: " in capsys.readouterr().err


def test_a_first_page_that_is_missing_is_an_error(site: Site, connect: Any) -> None:
    for source in (GALLERY, declared(KINDS["danbooru"])):
        with pytest.raises(SourceError, match="gone: HTTP 404"):
            discover([source], connect(quick()))


ENDLESS = {
    "the same items": lambda n: article("/1.png"),
    "items that are dropped": lambda n: article(f"/{n}.mp4"),
    "items without an image": lambda n: "<article></article>",
    "no items after the first page": lambda n: article("/1.png") if n == 1 else "<p>",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_gallery_whose_next_never_ends_is_left(name: str, site: Site, connect: Any) -> None:
    def answer(path: str) -> bytes:
        n = int(path.partition("=")[2] or 1)
        return f'{ENDLESS[name](n)}<a rel="next" href="/?p={n + 1}">on</a>'.encode()

    site.faults = Answers(answer)
    try:
        discover([GALLERY | {"limit": 10}], connect(quick()))
    except IncompleteError as error:
        assert "100 pages in a row give no post to list" in str(error)
    assert len(site.seen) <= 102


def test_a_page_that_is_repeated_for_ever_is_left(
    site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.faults = Answers(
        lambda path: (
            article("/1.png") + f'<a rel="next" href="/?n={len(site.seen)}">on</a>'
        ).encode()
    )
    frame, _ = discover([GALLERY], connect(quick()))
    assert len(frame) == 1 and len(site.seen) <= 6
    assert "repeat what was listed before" in capsys.readouterr().err


# --- sources -------------------------------------------------------------------------------------


def test_a_source_that_breaks_off_keeps_what_it_had_and_goes_on_there(
    kind: Kind, site: Site, connect: Any, tmp_path: Path
) -> None:
    rows = [kind.row(number) for number in range(1, 31)]
    serve(site, kind, rows, page_size=10)
    usual = site.faults
    broken = [True]
    site.faults = Answers(
        lambda path: status(500) if kind.below(path) == 11 and broken[0] else usual.get(path)
    )
    other = declared(KINDS["moebooru"], name="other", url="http://other.demo", limit=3)
    settings = quick(retries=0, allow_private_hosts=("site.demo", "other.demo"))
    if kind.type != "moebooru":
        other = {"name": "other", "type": "gallery", "url": f"{SITE}/gallery", "rating": ""}
        pages = usual

        def with_gallery(path: str) -> Any:
            if path == "/gallery":
                return article("/a.png").encode()
            return status(500) if kind.below(path) == 11 and broken[0] else pages.get(path)

        site.faults = Answers(with_gallery)
    with pytest.raises(IncompleteError) as stopped:
        discover([declared(kind), other], connect(settings), memory=tmp_path)
    message = str(stopped.value)
    assert "\n" not in message and "HTTP 500" in message and "20 posts of it" in message
    kept = stopped.value.posts
    assert sorted(map(int, kept[kept["source"] == "booru"]["post_id"])) == list(range(11, 31))
    assert (kept["source"] == "other").any() and stopped.value.counts["booru/listed"] == 20
    broken[0] = False
    before = len(site.seen)
    frame, counts = discover([declared(kind), other], connect(settings), memory=tmp_path)
    assert sorted(map(int, frame[frame["source"] == "booru"]["post_id"])) == list(range(1, 31))
    assert counts["booru/listed"] == 30
    asked = [kind.below(seen.path) for seen in site.seen[before:] if "?json" not in seen.path[-5:]]
    assert {number for number in asked if number} == {11, 1}
    assert not list(tmp_path.iterdir())  # all is there: the next listing begins anew
    whole, _ = discover([declared(kind), other], connect(settings))
    assert list(iterate_posts(whole)) == list(iterate_posts(frame))


def test_partial_is_enough_where_it_is_said_to_be(
    site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS["danbooru"]
    serve(site, kind, [kind.row(number) for number in range(1, 31)], page_size=10)
    usual = site.faults
    site.faults = Answers(lambda p: status(500) if kind.below(p) == 11 else usual.get(p))
    frame, counts = discover([declared(kind, partial=True)], connect(quick(retries=0)))
    assert len(frame) == counts["booru/listed"] == 20
    assert "HTTP 500" in capsys.readouterr().err
    site.faults = Answers(lambda path: status(500))
    with pytest.raises(IncompleteError, match="0 posts"):  # nothing is not a part
        discover([declared(kind, partial=True)], connect(quick(retries=0)))


def test_a_listing_of_other_keys_or_of_half_a_file_begins_anew(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    kind = KINDS["danbooru"]
    serve(site, kind, [kind.row(number) for number in range(1, 31)], page_size=10)
    usual = site.faults
    answers = Answers(lambda p: status(500) if kind.below(p) == 11 else usual.get(p))
    site.faults = answers
    for _ in range(2):
        with pytest.raises(IncompleteError, match="20 posts"):
            discover([declared(kind)], connect(quick(retries=0)), memory=tmp_path)
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    for damage in (lines[0] + lines[1][:50], lines[0] + b"\xff{}\n" + lines[1], b"", b"null\n"):
        file.write_bytes(damage)
        with pytest.raises(IncompleteError, match="20 posts"):
            discover([declared(kind)], connect(quick(retries=0)), memory=tmp_path)
        assert file.read_bytes().splitlines(keepends=True) == lines
    with pytest.raises(IncompleteError, match="20 posts"):
        discover([declared(kind, tags="x")], connect(quick(retries=0)), memory=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


# --- one post is one post ------------------------------------------------------------------------

MANY = {
    "queries": [article(f"/image.php?id={n}") for n in range(1, 21)],
    "hosts": [article(f"http://h{n}.demo/image.png") for n in range(1, 21)],
    "one id": [article(f"/{n}.png", "post") for n in range(1, 21)],
    "fragments of queries": [article(f"/i?a=1&b={n}#x", "i") for n in range(1, 21)],
}


@pytest.mark.parametrize("name", MANY)
def test_twenty_images_are_twenty_posts(name: str, site: Site, connect: Any) -> None:
    pages(site, "".join(MANY[name][:12]), "".join(MANY[name][10:]))
    frame, counts = discover([GALLERY], connect(quick()))
    assert counts == {"gallery/listed": 20, "gallery/repeated": 2}
    assert frame["url"].nunique() == frame["post_id"].nunique() == 20


LAZY = {
    "data-src": lambda n: f'<img src="/wait.gif" data-src="/{n}.png">',
    "data-lazy-src": lambda n: f'<img src="/wait.gif" data-lazy-src="/{n}.png">',
    "no src": lambda n: f'<img data-src="/{n}.png">',
    "data: as placeholder": lambda n: f'<img src="data:image/gif;base64,R0" data-src="/{n}.png">',
    "srcset beside a placeholder": lambda n: (
        f'<img src="/wait.gif" srcset="/{n}-s.png 320w, /{n}.png 1280w, /{n}-m.png 640w">'
    ),
    "srcset alone": lambda n: f'<img srcset="/{n}-s.png, /{n}.png 2x">',
    "noscript": lambda n: f'<img src="/wait.gif"><noscript><img src="/{n}.png"></noscript>',
    "a script's link": lambda n: f'<a href="javascript:show({n})"><img src="/{n}.png"></a>',
    "a link to nowhere": lambda n: f'<a href="#"><img src="/{n}.png"></a>',
    "a link": lambda n: f'<a href="/{n}.png"><img src="/thumb/{n}.png"></a>',
    "a backslash": lambda n: f'<img src="\\{n}.png">',
    "a line break": lambda n: f'<img src=" /{n}\n.png ">',
}


@pytest.mark.parametrize("name", LAZY)
def test_the_image_is_what_a_browser_would_show(name: str, site: Site, connect: Any) -> None:
    site.faults["/"] = body("".join(f"<figure>{LAZY[name](n)}</figure>" for n in range(9)).encode())
    frame, counts = discover([GALLERY], connect(quick()))
    assert counts == {"gallery/listed": 9}
    assert sorted(frame["url"]) == [f"{SITE}/{n}.png" for n in range(9)]


def test_one_placeholder_for_all_that_a_selector_insists_on_is_told(
    site: Site, connect: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.faults["/"] = body(b'<figure><img src="/wait.gif" data-x="/1.png"></figure>' * 9)
    _, counts = discover([GALLERY | {"image": "img@src"}], connect(quick()))
    assert counts == {"gallery/listed": 1, "gallery/repeated": 8}
    assert "all 9 items name one image: correct key 'image'" in capsys.readouterr().err


def test_links_are_relative_to_what_the_page_says(site: Site, connect: Any) -> None:
    page = '<base href="/deep/"><figure><img src="1.png"></figure><a rel="next" href="two">'
    site.faults |= {"/": body(page.encode()), "/deep/two": body(article("../2.png").encode())}
    frame, _ = discover([GALLERY], connect(quick()))
    assert sorted(frame["url"]) == [f"{SITE}/2.png", f"{SITE}/deep/1.png"]


@pytest.mark.parametrize(
    ("charset", "label"), [("shift_jis", "Shift_JIS"), ("utf-8", "utf-8"), ("utf-8", "nonsense")]
)
def test_letters_are_as_the_header_says(charset: str, label: str, site: Site, connect: Any) -> None:
    html = article("/1.png", more='<i class="tag">金髪</i>').encode(charset)
    site.faults["/"] = body(html, Content_Type=f"text/html; charset={label}")
    frame, _ = discover([GALLERY], connect(quick()))
    assert list(frame["tags"]) == ["金髪"]


# --- why -----------------------------------------------------------------------------------------

REASON = "You cannot search for more than 2 tags at a time"
WHY: list[tuple[int, bytes, dict[str, str], str]] = [
    (422, json.dumps({"success": False, "message": REASON}).encode(), {}, REASON),
    (
        422,
        json.dumps({"error": "TagLimitError", "message": REASON}).encode(),
        {},
        REASON,
    ),
    (422, json.dumps({"errors": {"tags": [REASON]}}).encode(), {}, f"tags: {REASON}"),
    (400, json.dumps({"error": {"message": REASON}}).encode(), {}, REASON),
    (400, json.dumps([REASON]).encode(), {}, REASON),
    (403, f"<html><title>{REASON}</title>".encode(), {}, REASON),
    (403, REASON.encode(), {"Content_Type": "text/plain"}, REASON),
    (401, b"", {"WWW_Authenticate": 'Basic realm="members"'}, 'Basic realm="members"'),
    (500, json.dumps({"reason": REASON}).encode(), {}, REASON),
    (429, json.dumps({"reason": f"{REASON}\r\n\x1b[31m"}).encode(), {}, REASON),
    (418, b"\x1f\x8b\x00", {}, "HTTP 418"),
]


@pytest.mark.parametrize(("code", "answer", "headers", "words"), WHY)
def test_the_line_repeats_why_a_site_refuses(
    code: int, answer: bytes, headers: dict[str, str], words: str, site: Site, connect: Any
) -> None:
    def refuse(handler: Any, _: int) -> None:
        handler.send_response(code)
        for name, value in ({"Content_Length": str(len(answer))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(answer)

    site.faults = Answers(lambda path: refuse)
    with pytest.raises(SourceError) as error:
        discover([declared(KINDS["danbooru"])], connect(quick(retries=0)))
    message = str(error.value)
    assert f"HTTP {code}" in message and words in message and message.isprintable()
    assert ("login_env" in message) == (code in (401, 403))


def test_a_site_that_repeats_the_key_does_not_make_us_repeat_it(
    site: Site, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_USER", "somebody")
    monkeypatch.setenv("SITE_KEY", 'k3y"of/user')
    keys = {"login_env": "SITE_USER", "api_key_env": "SITE_KEY"}
    for name in ("danbooru", "gelbooru"):
        for shape in ('{"message": "no %s"}', "<title>no %s</title>"):

            def refuse(handler: Any, _: int, shape: str = shape) -> None:
                seen = f'{handler.path} {handler.headers["Authorization"]} k3y\\"of/user somebody'
                data = (shape % seen).encode()
                handler.send_response(422)
                handler.send_header("Content-Length", str(len(data)))
                handler.end_headers()
                handler.wfile.write(data)

            site.faults = Answers(lambda path, refuse=refuse: refuse)
            with pytest.raises(SourceError) as error:
                discover([declared(KINDS[name], **keys)], connect(quick(retries=0)))
            assert "k3y" not in str(error.value) and "c29tZWJvZHk" not in str(error.value)
            assert "HTTP 422: no" in str(error.value)


def test_a_failure_in_passing_is_none(site: Site, connect: Any) -> None:
    pages(site, article("/1.png"), article("/2.png"))
    site.faults["/?p=2"] = first(1, status(503), site.faults["/?p=2"])
    frame, _ = discover([GALLERY], connect(quick()))
    assert len(frame) == 2


@pytest.mark.parametrize("nothing", [b" ", b"[]\n", b"{}", b"null"])
def test_an_empty_last_page_is_the_end(
    nothing: bytes, kind: Kind, site: Site, connect: Any
) -> None:
    serve(site, kind, rows := [kind.row(9), kind.row(8)])
    usual = site.faults
    site.faults = Answers(
        lambda path: nothing if kind.below(path) == 8 else usual.get(path)  # type: ignore[arg-type]
    )
    frame, counts = discover([declared(kind)], connect(quick()))
    assert len(frame) == len(rows) == counts["booru/listed"]


def test_a_number_of_a_post_may_be_written_as_text(kind: Kind, site: Site, connect: Any) -> None:
    rows = [kind.row(n) for n in (9, 8)]
    texts = [row | {"id": str(row["id"])} for row in rows]
    serve(site, kind, rows)
    usual = site.faults
    site.faults = Answers(
        lambda path: (
            kind.page(texts)
            if "json" in path and kind.below(path) is None and not path.startswith(("/9", "/8"))
            else usual.get(path)  # type: ignore[arg-type]
        )
    )
    frame, _ = discover([declared(kind)], connect(quick()))
    assert sorted(frame["post_id"]) == ["8", "9"]


def test_what_zerochan_says_in_the_place_of_posts_is_repeated(site: Site, connect: Any) -> None:
    site.faults = Answers(lambda _: b'{"success": false, "message": "ask less"}')
    with pytest.raises(SourceError, match="ask less"):
        discover([declared(KINDS["zerochan"])], connect(quick()))

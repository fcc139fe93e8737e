"""Declared sources against real HTTP, real responses and mangled ones."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from crawl.errors import CrawlError, SourceError
from crawl.posts import DTYPES, Post, iterate_posts, posts_frame
from crawl.sources import discover
from crawl.sources.base import parse_source
from pipeline.core.exclude import Exclusions
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Fault, Site, body, image_bytes
from tests.crawl.sources.boorus import danbooru_row

BOORU = {"name": "booru", "type": "danbooru", "url": "http://site.demo"}
GALLERY = {"name": "gallery", "type": "gallery", "url": "http://site.demo/"}


@pytest.fixture
def booru(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The posts of a danbooru-like site, served in pages of ten; mutate it."""
    rows = [danbooru_row(number) for number in range(1, 36)]
    monkeypatch.setattr("crawl.sources.danbooru._PAGE_SIZE", 10)

    class Faults(dict[str, Fault]):
        def get(self, path: str, default: Any = None) -> Any:
            if not path.startswith("/posts.json"):
                return default
            query = parse_qs(urlsplit(path).query)
            before = int(query.get("page", ["b999999"])[0].removeprefix("b"))
            found = sorted((r for r in rows if r["id"] < before), key=lambda r: -r["id"])
            return body(json.dumps(found[: int(query["limit"][0])]).encode())

    site.faults = Faults()
    return rows


def test_danbooru_is_paged_by_id_to_its_end(
    site: Site, connect: Any, booru: list[dict[str, Any]]
) -> None:
    frame, counts = discover([BOORU], connect(quick()))
    assert set(frame["post_id"]) == {str(n) for n in range(1, 36)}
    assert counts == {"booru/listed": 35}
    pages = [parse_qs(urlsplit(s.path).query).get("page") for s in site.seen[1:]]
    assert pages == [None, ["b26"], ["b16"], ["b6"], ["b1"]]


def test_danbooru_stops_at_its_limit(site: Site, connect: Any, booru: list[dict[str, Any]]) -> None:
    frame, _ = discover([BOORU | {"limit": 12}], connect(quick()))
    assert sorted(map(int, frame["post_id"])) == list(range(24, 36))
    assert len(site.seen) == 3  # robots.txt and two pages


def test_snapshot_gives_the_same_posts_after_new_uploads(
    connect: Any, booru: list[dict[str, Any]]
) -> None:
    declared = BOORU | {"limit": 8, "snapshot": date(2024, 1, 31)}
    before, _ = discover([declared], connect(quick()))
    booru += [danbooru_row(n, created_at="2024-02-01T00:00:00Z") for n in range(100, 105)]
    after, counts = discover([declared], connect(quick()))
    pd.testing.assert_frame_equal(before, after)
    assert counts == {"booru/dropped_after_snapshot": 5, "booru/listed": 8}


def test_only_general_ratings_and_usable_images_are_listed(
    connect: Any, booru: list[dict[str, Any]]
) -> None:
    booru[:] = [
        danbooru_row(1),
        danbooru_row(2, rating="s"),
        danbooru_row(3, rating="q"),
        danbooru_row(4, rating="e"),
        danbooru_row(5, rating=None),
        danbooru_row(6, file_url=None),
        danbooru_row(7, file_url="http://site.demo/7.mp4"),
        danbooru_row(8, file_url="file:/etc#passwd"),
        danbooru_row(9, tag_string="comic 1girl"),
        danbooru_row(10, file_url="http://user@/10.png"),
    ]
    frame, counts = discover([BOORU], connect(quick()), Exclusions(tags=["comic"]).verdict)
    assert list(frame["post_id"]) == ["1"]
    assert counts == {
        "booru/listed": 1,
        "booru/dropped_rating": 3,
        "booru/dropped_unrated": 1,
        "booru/dropped_no_image": 1,
        "booru/dropped_not_an_image": 1,
        "booru/dropped_bad_url": 2,
        "booru/dropped_tags": 1,
    }


def test_a_row_keeps_all_that_the_site_says(connect: Any, booru: list[dict[str, Any]]) -> None:
    booru[:] = [danbooru_row(7)]
    frame, _ = discover([BOORU | {"licence": "CC0"}], connect(quick()))
    (post,) = iterate_posts(frame)
    assert post == Post(
        url="http://site.demo/original/7.png",
        source="booru",
        post_id="7",
        md5=f"{7:032x}",
        width=640,
        height=480,
        rating="general",
        tags="1girl blonde_hair",
        artist="somebody",
        licence="CC0",
        source_link="https://example.org/original",
        created_at=datetime(2024, 1, 8, 17, tzinfo=UTC),
    )


def test_real_danbooru_response(shared: Path, site: Site, connect: Any) -> None:
    response = (shared / "booru" / "danbooru" / "posts.json").read_bytes()
    rows = json.loads(response)
    lowest = min(row["id"] for row in rows)
    site.faults["/posts.json?limit=200&tags="] = body(response)
    site.faults[f"/posts.json?limit=200&tags=&page=b{lowest}"] = body(b"[]")
    frame, counts = discover([BOORU], connect(quick()))
    general = [row for row in rows if row["rating"] == "g"]
    assert dict(zip(frame["post_id"], frame["md5"], strict=True)) == {
        str(row["id"]): row["md5"] for row in general
    }
    assert counts["booru/listed"] == len(general) > 0
    assert counts["booru/dropped_rating"] == len(rows) - len(general)
    assert frame["url"].str.startswith("https://cdn.donmai.us/original/").all()
    assert frame["created_at"].notna().all()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>down for maintenance</html>", "is not JSON"),
        (b'{"success": false, "message": "rate limit"}', "is not a list of posts"),
        (b'[{"rating": "g"}]', "without an id"),
        (b'[{"id": 3, "created_at": "yesterday"}]', "post 3"),
        (b'[{"id": 3, "file_url": 5}]', "post 3"),
    ],
)
def test_mangled_page_names_source_and_page(
    answer: bytes, reason: str, site: Site, connect: Any
) -> None:
    site.faults["/posts.json?limit=200&tags="] = body(answer)
    with pytest.raises(SourceError, match=reason) as error:
        discover([BOORU], connect(quick()))
    assert "source 'booru', http://site.demo/posts.json" in str(error.value)


def test_site_that_pages_in_circles_is_an_error(site: Site, connect: Any) -> None:
    page = body(json.dumps([danbooru_row(5, rating="e")]).encode())
    site.faults["/posts.json?limit=200&tags="] = page
    site.faults["/posts.json?limit=200&tags=&page=b5"] = page
    with pytest.raises(SourceError, match="lists post 5, not below 5"):
        discover([BOORU], connect(quick()))


def figure(number: int, rating: str = "safe") -> str:
    return (
        f'<figure id="p{number}"><a href="/full/{number}.png"><img src="/thumb/{number}.jpg"></a>'
        f'<a rel="tag">long hair</a> <a rel="tag">smile</a><i class="rating">{rating}</i>'
        '<a rel="license" href="https://example.org/by">CC-BY-4.0</a></figure>'
    )


def test_gallery_is_followed_page_by_page(site: Site, connect: Any) -> None:
    site.faults["/"] = body(
        f'{figure(1)}{figure(2, "explicit")}<a rel="next" href="?p=2">'.encode()
    )
    site.faults["/?p=2"] = body(f'{figure(3)}{figure(4, "")}<a rel="next" href="/">'.encode())
    frame, counts = discover([GALLERY], connect(quick()))
    assert list(frame["url"]) == [f"http://site.demo/full/{n}.png" for n in (1, 3)]
    assert list(frame["tags"]) == ["long_hair smile"] * 2
    assert list(frame["post_id"]) == ["p1", "p3"]
    assert list(frame["licence"]) == ["CC-BY-4.0"] * 2
    assert counts == {
        "gallery/listed": 2,
        "gallery/dropped_rating": 1,
        "gallery/dropped_unrated": 1,
    }


def test_gallery_selectors_can_name_attributes(site: Site, connect: Any) -> None:
    site.faults["/"] = body(b'<li class="x" id="a"><img data-full="/a.png" alt="blue hair"></li>')
    declared = {"item": "li.x", "image": "img@data-full", "tags": "img@alt", "next": "a.more"}
    frame, _ = discover([GALLERY | declared | {"rating": ""}], connect(quick()))
    (post,) = iterate_posts(frame)
    assert (post.url, post.tags, post.rating) == ("http://site.demo/a.png", "blue_hair", "")


def test_gallery_page_without_items_is_an_error(site: Site, connect: Any) -> None:
    site.faults["/"] = body(b"<p>Please prove that you are human</p>")
    with pytest.raises(SourceError, match="'article, figure' .* matches nothing"):
        discover([GALLERY], connect(quick()))


def test_archive_takes_tags_from_its_table(tmp_path: Path, connect: Any) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("set/1.jpg", "set/2.JPG", "set/readme.txt"):
            archive.writestr(name, image_bytes(1) if name != "set/readme.txt" else b"words")
    (tmp_path / "tags.csv").write_text("file,hair,eyes\n1.jpg,light blue,pink\n9.jpg,red,\n")
    declared = {"name": "set", "type": "archive", "path": str(tmp_path / "set.zip")}
    frame, counts = discover([declared | {"tags": str(tmp_path / "tags.csv")}], connect(quick()))
    assert list(frame["post_id"]) == ["set/1.jpg", "set/2.JPG"]
    assert list(frame["tags"]) == ["light_blue_hair pink_eyes", ""]
    assert counts["set/listed"] == 2


def test_real_archive(shared: Path, connect: Any) -> None:
    anime = shared / "anime"
    declared = {"name": "faces96", "type": "archive", "path": anime / "faces96.zip", "limit": 500}
    frame, counts = discover([declared | {"tags": anime / "faces96_tags.csv"}], connect(quick()))
    assert counts == {"faces96/listed": 500}
    tagged = frame[frame["tags"] != ""]
    assert len(tagged) > 100
    assert tagged["tags"].str.fullmatch(r"\w+_hair( \w+_eyes)?|\w+_eyes").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "danboru"}, "unknown type 'danboru' — did you mean 'danbooru'"),
        ({"limt": 5}, "unknown key 'limt' — did you mean 'limit'"),
        ({"limit": "many"}, "key 'limit' is 'many'"),
        ({"limit": 0}, "key 'limit' is 0"),
        ({"snapshot": "someday"}, "key 'snapshot' is 'someday'"),
    ],
)
def test_mistake_in_a_declaration_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CrawlError, match=message):
        parse_source(BOORU | change)


def test_missing_key_bad_selector_and_equal_names_are_named(connect: Any) -> None:
    with pytest.raises(CrawlError, match="key 'url' is missing"):
        parse_source({"name": "booru", "type": "danbooru"})
    with pytest.raises(CrawlError, match="key 'item', 'li::' is not a CSS selector"):
        parse_source(GALLERY | {"item": "li::"})
    with pytest.raises(CrawlError, match="2 sources are called 'booru'"):
        discover([BOORU, BOORU], connect(quick()))


@pytest.mark.parametrize("public", [BOORU, GALLERY])
def test_public_site_without_contact_is_told_before_anything_is_asked(
    site: Site, connect: Any, booru: list[dict[str, Any]], no_lookups: None, public: dict[str, str]
) -> None:
    other = public | {"name": "other", "url": "https://example.org"}
    with pytest.raises(CrawlError, match="web.contact is empty and example.org"):
        discover([BOORU, other], connect(quick()))
    assert site.seen == []


@pytest.mark.parametrize("name", ["absent.zip", "notes.txt"])
def test_archive_that_is_none_is_named(name: str, tmp_path: Path, connect: Any) -> None:
    (tmp_path / "notes.txt").write_text("no archive")
    declared = {"name": "set", "type": "archive", "path": tmp_path / name}
    with pytest.raises(CrawlError, match=name):
        discover([declared], connect(quick()))


def test_table_of_posts_survives_parquet(tmp_path: Path) -> None:
    posts = [
        Post(url="http://site.demo/b", source="b", post_id="1", width=3, height=4),
        Post(url="http://site.demo/a", source="a", post_id="2", tags="x y"),
    ]
    frame = posts_frame(posts)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == DTYPES
    frame.to_parquet(tmp_path / "posts.parquet")
    assert list(iterate_posts(pd.read_parquet(tmp_path / "posts.parquet"))) == posts[::-1]
    assert posts_frame([]).dtypes.to_dict() == frame.dtypes.to_dict()

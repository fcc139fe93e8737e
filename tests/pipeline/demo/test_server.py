"""The demo's web answers as the real sites do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import urllib3
from bs4 import BeautifulSoup

from pipeline.demo.gallery import build_gallery
from pipeline.demo.server import ITEMS_PER_PAGE, serve

ask = partial(urllib3.request, timeout=5)
REAL = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "booru"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery")
    build_gallery(out, faces=150, seed=2, workers=1)
    return out


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with serve(folder) as (host, port):
        yield f"http://{host}:{port}"


def posts(folder: Path, source: str) -> list[dict]:
    return json.loads((folder / "posts.json").read_text())[source]


def test_id_pages_reach_every_post_once(site: str, folder: Path) -> None:
    seen: list[int] = []
    page = "1"
    while rows := urllib3.request("GET", f"{site}/posts.json?limit=7&page={page}").json():
        seen += [row["id"] for row in rows]
        page = f"b{seen[-1]}"
    assert seen == [post["id"] for post in posts(folder, "booru")]
    assert seen == sorted(set(seen), reverse=True)


def test_numbered_pages_and_pages_above_an_id(site: str, folder: Path) -> None:
    ids = [post["id"] for post in posts(folder, "booru")]
    second = ask("GET", f"{site}/posts.json?limit=5&page=2").json()
    assert [row["id"] for row in second] == ids[5:10]
    above = ask("GET", f"{site}/posts.json?limit=3&page=a{ids[10]}").json()
    assert [row["id"] for row in above] == ids[7:10]
    assert ask("GET", f"{site}/posts.json?page=x").status == 400


def test_tags_filter_by_word_and_rating(site: str, folder: Path) -> None:
    def tagged(tags: str) -> set[int]:
        answer = urllib3.request("GET", f"{site}/posts.json", fields={"limit": "200", "tags": tags})
        return {row["id"] for row in answer.json()}

    everything = posts(folder, "booru")
    solo = {post["id"] for post in everything if "solo" in post["tag_string"].split()}
    assert tagged("solo") == solo
    assert tagged("-solo") == {post["id"] for post in everything} - solo
    assert len(tagged("rating:e")) == 1
    assert tagged("rating:g solo") == solo


def test_booru_posts_have_the_real_fields(site: str) -> None:
    path = REAL / "danbooru" / "posts.json"
    if not path.is_file():
        pytest.skip("no real danbooru response in ../shared/data/booru")
    real = json.loads(path.read_text())[0]
    ours = ask("GET", f"{site}/posts.json?limit=1").json()[0]
    assert set(ours) <= set(real)
    for key, value in ours.items():
        assert value is None or real[key] is None or type(value) is type(real[key]), key


def test_links_follow_the_host_that_was_asked(site: str, folder: Path) -> None:
    headers = {"Host": "booru.demo"}
    row = ask("GET", f"{site}/posts.json?limit=1", headers=headers).json()[0]
    assert row["file_url"].startswith("http://booru.demo/original/")
    page = urllib3.request("GET", f"{site}/", headers={"Host": "gallery.demo"}).data.decode()
    link = BeautifulSoup(page, "html.parser").select_one("a[rel=next]")
    assert link is not None and link["href"] == "http://gallery.demo/?page=2"


def test_gallery_pages_reach_every_item_once(site: str, folder: Path) -> None:
    url, seen = f"{site}/", []
    while url:
        soup = BeautifulSoup(ask("GET", url).data.decode(), "html.parser")
        items = soup.select("article.item")
        assert 0 < len(items) <= ITEMS_PER_PAGE
        for item in items:
            seen.append(item["id"])
            tags = [tag.get_text() for tag in item.select("a.tag")]
            assert tags and item["data-tags"] == " ".join(tags)
            assert item.select_one("a.image") and item.select_one("a[rel=license]")
        link = soup.select_one("a[rel=next]")
        url = str(link["href"]) if link else ""
    assert seen == [f"art-{post['id']}" for post in posts(folder, "gallery")]


def test_files_answer_head_and_ranges(site: str, folder: Path) -> None:
    path = next(p["file_url"] for p in posts(folder, "booru") if p["file_size"] > 10_000)
    whole = ask("GET", site + path)
    assert whole.headers["Content-Type"] in ("image/jpeg", "image/png")
    assert int(whole.headers["Content-Length"]) == len(whole.data)
    head = ask("HEAD", site + path)
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] and not head.data
    for wanted, expected in (
        ("bytes=100-199", whole.data[100:200]),
        ("bytes=5000-", whole.data[5000:]),
        ("bytes=-50", whole.data[-50:]),
    ):
        part = ask("GET", site + path, headers={"Range": wanted})
        assert part.status == 206 and part.data == expected
    beyond = ask("GET", site + path, headers={"Range": "bytes=99999999-"})
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole.data)}"


def test_robots_allow_and_what_is_not_there_is_404(site: str, folder: Path) -> None:
    robots = ask("GET", f"{site}/robots.txt").data.decode()
    assert "Allow: /" in robots and "Crawl-delay" not in robots
    assert ask("GET", f"{site}/nowhere").status == 404
    shown = [p["file_url"] for p in posts(folder, "booru")]
    shown += [p["path"] for p in posts(folder, "gallery")]
    assert [ask("HEAD", site + path).status for path in shown].count(404) == 1

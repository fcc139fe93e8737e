"""The demo's web answers as the real sites do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from bs4 import BeautifulSoup

from pipeline.demo.gallery import build_gallery
from pipeline.demo.server import ITEMS_PER_PAGE, serve

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
    while rows := requests.get(f"{site}/posts.json?limit=7&page={page}", timeout=5).json():
        seen += [row["id"] for row in rows]
        page = f"b{seen[-1]}"
    assert seen == [post["id"] for post in posts(folder, "booru")]
    assert seen == sorted(set(seen), reverse=True)


def test_numbered_pages_and_pages_above_an_id(site: str, folder: Path) -> None:
    ids = [post["id"] for post in posts(folder, "booru")]
    second = requests.get(f"{site}/posts.json?limit=5&page=2", timeout=5).json()
    assert [row["id"] for row in second] == ids[5:10]
    above = requests.get(f"{site}/posts.json?limit=3&page=a{ids[10]}", timeout=5).json()
    assert [row["id"] for row in above] == ids[7:10]
    assert requests.get(f"{site}/posts.json?page=x", timeout=5).status_code == 400


def test_tags_filter_by_word_and_rating(site: str, folder: Path) -> None:
    def ask(tags: str) -> set[int]:
        answer = requests.get(f"{site}/posts.json?limit=200", params={"tags": tags}, timeout=5)
        return {row["id"] for row in answer.json()}

    everything = posts(folder, "booru")
    solo = {post["id"] for post in everything if "solo" in post["tag_string"].split()}
    assert ask("solo") == solo
    assert ask("-solo") == {post["id"] for post in everything} - solo
    assert len(ask("rating:e")) == 1
    assert ask("rating:g solo") == solo


def test_booru_posts_have_the_real_fields(site: str) -> None:
    path = REAL / "danbooru" / "posts.json"
    if not path.is_file():
        pytest.skip("no real danbooru response in ../shared/data/booru")
    real = json.loads(path.read_text())[0]
    ours = requests.get(f"{site}/posts.json?limit=1", timeout=5).json()[0]
    assert set(ours) <= set(real)
    for key, value in ours.items():
        assert value is None or real[key] is None or type(value) is type(real[key]), key


def test_links_follow_the_host_that_was_asked(site: str, folder: Path) -> None:
    headers = {"Host": "booru.demo"}
    row = requests.get(f"{site}/posts.json?limit=1", headers=headers, timeout=5).json()[0]
    assert row["file_url"].startswith("http://booru.demo/original/")
    page = requests.get(f"{site}/", headers={"Host": "gallery.demo"}, timeout=5).text
    link = BeautifulSoup(page, "html.parser").select_one("a[rel=next]")
    assert link is not None and link["href"] == "http://gallery.demo/?page=2"


def test_gallery_pages_reach_every_item_once(site: str, folder: Path) -> None:
    url, seen = f"{site}/", []
    while url:
        soup = BeautifulSoup(requests.get(url, timeout=5).text, "html.parser")
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
    whole = requests.get(site + path, timeout=5)
    assert whole.headers["Content-Type"] in ("image/jpeg", "image/png")
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    head = requests.head(site + path, timeout=5)
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] and not head.content
    for wanted, expected in (
        ("bytes=100-199", whole.content[100:200]),
        ("bytes=5000-", whole.content[5000:]),
        ("bytes=-50", whole.content[-50:]),
    ):
        part = requests.get(site + path, headers={"Range": wanted}, timeout=5)
        assert part.status_code == 206 and part.content == expected
    beyond = requests.get(site + path, headers={"Range": "bytes=99999999-"}, timeout=5)
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole.content)}"


def test_robots_allow_and_what_is_not_there_is_404(site: str, folder: Path) -> None:
    robots = requests.get(f"{site}/robots.txt", timeout=5).text
    assert "Allow: /" in robots and "Crawl-delay" not in robots
    assert requests.get(f"{site}/nowhere", timeout=5).status_code == 404
    shown = [p["file_url"] for p in posts(folder, "booru")]
    shown += [p["path"] for p in posts(folder, "gallery")]
    assert [requests.head(site + path, timeout=5).status_code for path in shown].count(404) == 1

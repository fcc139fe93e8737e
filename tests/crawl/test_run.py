"""The crawl as a whole: order, counts, memory between runs, kills."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crawl.archives.reader import member_url
from crawl.errors import CrawlError
from crawl.fetch import Fetched
from crawl.outcomes import Outcome
from crawl.posts import Post, iterate_posts, posts_frame
from crawl.run import Result, _Memory, crawl
from crawl.state import State
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site, body, image_bytes, md5, slow, status, truncate


def serve_images(site: Site, count: int, seconds: float = 0.0) -> pd.DataFrame:
    """The site gets ``count`` different images; the table of their posts."""
    posts = []
    for number in range(count):
        image = image_bytes(number, size=16)
        site.faults[f"/{number}.png"] = slow(image, seconds) if seconds else body(image)
        url = f"http://site.demo/{number}.png"
        posts.append(Post(url=url, source="site", post_id=f"{number:05}", md5=md5(image)))
    return posts_frame(posts)


def outcomes(results: list[Result]) -> dict[str, int]:
    return dict(Counter(str(result.outcome) for result in results))


def test_results_come_in_the_order_of_the_posts(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 40)
    site.faults["/0.png"] = slow(image_bytes(0, size=16), 0.3)  # the first ends last
    settings = quick()
    results = list(crawl(posts, settings, tmp_path, connect(settings)))
    assert [result.post.url for result in results] == list(posts["url"])
    assert [result.data for result in results] == [image_bytes(n, size=16) for n in range(40)]


def test_every_post_ends_in_one_outcome(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 6)
    site.faults["/1.png"] = status(404)
    site.faults["/2.png"] = body(b"<html>")
    same = [Post(url="http://site.demo/0.png?again", source="site", post_id="9")]
    site.faults["/0.png?again"] = site.faults["/0.png"]
    settings = quick()
    table = pd.concat([posts, posts_frame(same)], ignore_index=True)
    results = list(crawl(table, settings, tmp_path, connect(settings)))
    assert outcomes(results) == {"ok": 4, "gone": 1, "not_an_image": 1, "duplicate_bytes": 1}
    assert results[-1].data is None
    assert results[-1].sha256 == results[0].sha256


def test_second_run_asks_for_nothing_that_is_complete(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    posts = serve_images(site, 10)
    site.faults["/3.png"] = status(404)
    settings = quick()
    once = list(crawl(posts, settings, tmp_path, connect(settings)))
    asked = len(site.seen)
    assert list(crawl(posts, settings, tmp_path, connect(settings))) == once
    assert len(site.seen) == asked


def test_what_may_have_been_mended_is_asked_again(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 3)
    mended = site.faults["/1.png"]
    site.faults |= {"/0.png": status(403), "/1.png": body(b"<html>log in</html>")}
    settings = quick()
    list(crawl(posts, settings, tmp_path, connect(settings)))
    site.faults["/1.png"] = mended
    results = list(crawl(posts, settings, tmp_path, connect(settings)))
    assert [str(result.outcome) for result in results] == ["gave_up", "ok", "ok"]
    assert [len(site.requests(f"/{n}.png")) for n in range(3)] == [2, 2, 1]


def test_stored_images_are_examined_by_the_limits_of_today(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    posts = serve_images(site, 1)
    for max_pixels, outcome in ((100, "too_large"), (1000, "ok"), (100, "too_large")):
        settings = quick(max_pixels=max_pixels)
        (result,) = crawl(posts, settings, tmp_path, connect(settings))
        assert result.outcome == outcome
    assert len(site.requests("/0.png")) == 2


def test_damaged_blob_is_fetched_again(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 1)
    settings = quick()
    (first,) = crawl(posts, settings, tmp_path, connect(settings))
    (pack,) = (tmp_path / "packs").iterdir()
    pack.write_bytes(b"rot" * 1000)
    (second,) = crawl(posts, settings, tmp_path, connect(settings))
    assert second == first
    assert len(site.requests("/0.png")) == 2


def test_two_posts_of_one_url_ask_once(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 1, seconds=0.1)
    twice = pd.concat([posts, posts.assign(source="twin")], ignore_index=True)
    settings = quick()
    results = list(crawl(twice, settings, tmp_path, connect(settings)))
    assert outcomes(results) == {"ok": 2}  # a source may lose no image for what another has
    assert len(site.requests("/0.png")) == 1


def test_archives_are_read_in_place(connect: Any, tmp_path: Path) -> None:
    path = tmp_path / "a set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/#1 ä.png", image_bytes(1))
        archive.writestr("large.png", b"\x89PNG" + b"\0" * 50_000)
    members = ("in/#1 ä.png", "large.png", "missing.png")
    posts = posts_frame(
        Post(url=member_url(path, name), source="set", post_id=name) for name in members
    )
    settings = quick(max_bytes=40_000)
    results = list(crawl(posts, settings, tmp_path / "state", connect(settings)))
    assert [str(result.outcome) for result in results] == ["ok", "too_large", "gone"]
    assert results[0].data == image_bytes(1)
    (pack,) = (tmp_path / "state" / "packs").iterdir()
    assert pack.stat().st_size == 0


def test_damaged_archive_fails_its_posts_only(connect: Any, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(name, image_bytes(1) + name.encode())
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + b"rot" * 10 + whole[80:])
    posts = posts_frame(
        Post(url=member_url(path, name), source="set", post_id=name) for name in ("a.png", "b.png")
    )
    settings = quick()
    results = list(crawl(posts, settings, tmp_path / "state", connect(settings)))
    assert [str(result.outcome) for result in results] == ["gave_up", "ok"]


def test_member_outside_its_folder_is_refused(connect: Any, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "secret.png").write_bytes(image_bytes(1))
    url = member_url(tmp_path / "set", "../secret.png")
    settings = quick()
    posts = posts_frame([Post(url=url, source="set", post_id="1")])
    (result,) = crawl(posts, settings, tmp_path / "state", connect(settings))
    assert result.outcome == "forbidden_address"


def test_too_many_failures_name_the_worst_host(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 10)
    site.faults |= {f"/{number}.png": status(403) for number in range(3)}
    settings = quick(max_failure_fraction=0.2)
    results: list[Result] = []
    with pytest.raises(CrawlError, match=r"3 of 10 posts failed.* site\.demo .*HTTP 403"):
        results.extend(crawl(posts, settings, tmp_path, connect(settings)))
    asked = len(site.seen)
    settings = quick(max_failure_fraction=0.3)
    assert len(list(crawl(posts, settings, tmp_path, connect(settings)))) == 10
    assert len(site.seen) == asked + 1 + 3  # robots.txt and the failures: the rest was kept


def test_public_host_without_contact_is_told_before_anything_is_asked(
    site: Site, connect: Any, tmp_path: Path, no_lookups: None
) -> None:
    image = Post(url="http://cdn.example.org/a.png", source="z", post_id="1")
    posts = pd.concat([serve_images(site, 3), posts_frame([image])], ignore_index=True)
    settings = quick()
    with pytest.raises(CrawlError, match="web.contact is empty and cdn.example.org"):
        list(crawl(posts, settings, tmp_path, connect(settings)))
    assert site.seen == []


def test_second_crawl_at_once_says_so(tmp_path: Path) -> None:
    with State(tmp_path, quick()), pytest.raises(CrawlError, match="another crawl is using"):
        State(tmp_path, quick())
    State(tmp_path, quick()).__exit__()


def test_reader_that_stops_early_stops_the_crawl(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 50)
    settings = quick(rate=5)
    session = connect(settings)
    results = crawl(posts, settings, tmp_path, session)
    next(results)
    results.close()
    assert len(site.seen) < 25  # at 5 a second the other half would take as long again


def test_image_with_a_known_md5_is_not_asked_for_again(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    posts = serve_images(site, 3)
    settings = quick()
    list(crawl(posts, settings, tmp_path, connect(settings)))
    mirror = posts.assign(source="mirror", url=posts["url"].str.replace("site.demo", "other.demo"))
    asked = len(site.seen)
    results = list(crawl(mirror, settings, tmp_path, connect(settings)))
    assert outcomes(results) == {"ok": 3}
    assert len(site.seen) == asked


def test_host_that_keeps_failing_is_parked_and_the_others_go_on(
    site: Site, connect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = serve_images(site, 20)
    bad = [Post(url=f"http://other.demo/bad{n}", source="z", post_id=f"{n:02}") for n in range(20)]
    site.faults |= {f"/bad{n}": status(503) for n in range(20)}
    hosts = ("site.demo", "other.demo")
    settings = quick(retries=0, park_after=3, concurrency=1, allow_private_hosts=hosts)
    posts = pd.concat([good, posts_frame(bad)], ignore_index=True)
    results = list(crawl(posts, settings, tmp_path, connect(settings)))
    assert outcomes(results) == {"ok": 20, "gave_up": 3, "host_parked": 17}
    assert len([seen for seen in site.seen if seen.path.startswith("/bad")]) == 3
    assert "other.demo is left alone: 3 failures in a row" in capsys.readouterr().err
    assert "3 failures in a row, the last: HTTP 503" in results[-1].reason


def test_host_that_recovers_is_not_parked(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = serve_images(site, 12)
    for number in (0, 1, 3, 4, 6, 7):  # never three in a row
        site.faults[f"/{number}.png"] = status(503)
    settings = quick(retries=0, park_after=3, concurrency=1)
    results = list(crawl(posts, settings, tmp_path, connect(settings)))
    assert outcomes(results) == {"ok": 6, "gave_up": 6}


LARGE = image_bytes(7, size=600)  # about 1 MB


def test_next_run_asks_only_for_the_rest_of_a_large_image(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    posts = posts_frame([Post(url="http://site.demo/large.png", source="site", post_id="1")])
    site.faults["/large.png"] = truncate(LARGE, 1)
    settings = quick()
    with State(state, settings) as memory:  # a crawl that is killed in the middle of a transfer
        part = memory.part(next(iterate_posts(posts)))
        part.restart(len(LARGE), '"v1"')
        part.append(LARGE[:400_000])
    (result,) = crawl(posts, settings, state, connect(settings))
    assert result.data == LARGE
    asked = site.requests("/large.png")
    assert asked[0].headers["Range"] == "bytes=400000-"
    assert asked[0].headers["If-Range"] == '"v1"'
    assert not list((state / "parts").iterdir())


def test_whole_part_is_not_asked_for_again(site: Site, connect: Any, tmp_path: Path) -> None:
    posts = posts_frame([Post(url="http://site.demo/large.png", source="site", post_id="1")])
    settings = quick()
    with State(tmp_path, settings) as memory:
        part = memory.part(next(iterate_posts(posts)))
        part.restart(len(LARGE), '"v1"')
        part.append(LARGE)
    (result,) = crawl(posts, settings, tmp_path, connect(settings))
    assert (result.data, site.seen) == (LARGE, [])


def test_image_that_changed_meanwhile_starts_again(
    site: Site, connect: Any, tmp_path: Path
) -> None:
    posts = posts_frame([Post(url="http://site.demo/large.png", source="site", post_id="1")])
    site.faults["/large.png"] = body(LARGE, ETag='"v2"')  # If-Range does not match: all of it
    settings = quick()
    with State(tmp_path, settings) as memory:
        part = memory.part(next(iterate_posts(posts)))
        part.restart(len(LARGE), '"v1"')
        part.append(b"x" * 400_000)
    (result,) = crawl(posts, settings, tmp_path, connect(settings))
    assert result.data == LARGE


def test_memory_gets_back_what_it_gave_and_no_more() -> None:
    memory = _Memory(10)
    kept, from_archive = (Fetched(Outcome.OK, data=b"x" * 6) for _ in range(2))
    assert memory.keep(kept) is kept
    for result in (kept, kept, from_archive):  # twins share one result
        memory.release(result)
    assert memory.keep(Fetched(Outcome.OK, data=b"x" * 11)).data is None
    assert memory.keep(Fetched(Outcome.OK, data=b"x" * 10)).data is not None

"""Discover and crawl as stages: what is in which shard, what is left out, and that all is counted.

The posts are on the demo's server on loopback, asked over real HTTP.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crawl.errors import CrawlError, SourceError
from crawl.outcomes import Outcome
from crawl.posts import Post
from crawl.run import Result
from crawl.state import State
from pipeline.core import stage, tables
from pipeline.core.commands import mistakes_in_one_line
from pipeline.core.errors import StageError
from pipeline.core.exclude import Exclusions
from pipeline.core.paths import FAILURES, POSTS, RAW
from pipeline.crawl import __main__ as crawl
from pipeline.crawl import raw as raw_shards
from pipeline.demo import server
from pipeline.discover import __main__ as discover
from pipeline.provenance import origin as provenance
from tests.pipeline.conftest import FakeRun, write_params

POSTED = 520
GONE = (30, 250, 499)  # places in the listing, newest first
TWINS = (20, 40)  # the same bytes


def picture(number: int) -> bytes:
    rgb = np.zeros((6, 9, 3), np.uint8)
    rgb[0, 0] = divmod(TWINS[0] if number in TWINS else number, 256) + (7,)
    return tables.encode_png(rgb)


def write_booru(folder: Path) -> None:
    """A booru of `POSTED` posts, newest first, in the files that the demo's server reads."""
    files, posts = [], []
    for place in range(POSTED):
        data, path = picture(place), f"/original/{place}.png"
        status = 404 if place in GONE else 200
        files.append({"path": path, "content_type": "image/png", "status": status, "bytes": data})
        posts.append(
            {
                "id": 9000 - place,
                "created_at": "2024-05-06T07:08:09.000+00:00",
                "rating": "g",
                "file_url": path,
                "md5": hashlib.md5(data).hexdigest(),
                "tag_string": f"1girl tag_{place}",
                "tag_string_artist": "someone",
            }
        )
    tables.write_file(folder / "pages.parquet", pd.DataFrame(files))
    (folder / "posts.json").write_text(json.dumps({"booru": posts, "gallery": []}))


@pytest.fixture
def booru(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_run: FakeRun) -> FakeRun:
    """A project's folder with a gallery to crawl; the run that the stages log into."""
    monkeypatch.chdir(tmp_path)
    write_booru(Path("site"))
    return fake_run


def run(limit: int, exclude: dict[str, list[str]] | None = None, frozen: bool = False) -> None:
    """Discover (unless ``frozen``) and crawl the newest ``limit`` posts."""
    source = {"name": "booru", "type": "danbooru", "url": "http://booru.demo", "limit": limit}
    write_params(
        {
            "web": {"rate": 100_000},
            "exclude": exclude or {},
            "discover": {"inputs": "site", "sources": [source]},
        }
    )
    if not frozen:
        discover.main()
    crawl.main()


def shards() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(RAW.glob("raw-*.parquet"))}


def raw() -> pd.DataFrame:
    return tables.read_frame(RAW, name="raw")


def test_more_posts_are_more_shards_and_the_old_ones_stay(booru: FakeRun) -> None:
    run(200)
    before = shards()
    assert list(before) == ["raw-booru-00000.parquet", "raw-booru-00001.parquet"]
    lost = [str(9000 - place) for place in (GONE[0], TWINS[0], *GONE[1:])]
    assert pd.read_parquet(FAILURES)["post_id"].tolist() == lost[:2]
    run(500)
    after = shards()
    assert list(after) == [f"raw-booru-{batch:05d}.parquet" for batch in range(5)]
    assert {name: after[name] for name in before} == before
    failures = pd.read_parquet(FAILURES)
    assert failures["post_id"].tolist() == lost
    assert failures["outcome"].tolist() == ["gone", "duplicate_bytes", "gone", "gone"]
    assert len(failures) + len(raw()) == 500


def test_a_post_with_the_bytes_of_another_leads_to_it_and_back(booru: FakeRun) -> None:
    run(100)
    twin = dict(provenance.trace("booru/8980"))
    assert twin["outcome"] == f"duplicate_bytes: same bytes as {twin['see'].split()[-1]}"
    kept = dict(provenance.trace(twin["see"].split()[-1]))
    assert kept["post"] == "booru/8960" and kept["in"] == POSTS.as_posix()
    assert kept["same bytes"] == f"booru/8980  {twin['url']}"
    assert dict(provenance.trace("booru/8970"))["outcome"] == "gone: HTTP 404"


def test_a_raw_row_has_the_bytes_their_digests_and_what_the_site_said(booru: FakeRun) -> None:
    run(100)
    rows = raw()
    assert rows["id"].is_monotonic_increasing and len(rows) == 98
    row = rows[rows["post_id"] == "8995"].iloc[0]
    data = picture(5)
    assert row["image"]["bytes"] == data
    assert row["id"] == hashlib.sha256(data).hexdigest()
    assert row["md5"] == hashlib.md5(data).hexdigest()
    assert row["url"] == "http://booru.demo/original/5.png" and row["source"] == "booru"
    assert row["created_at"] == pd.Timestamp("2024-05-06T07:08:09Z")
    assert (row["width"], row["height"], row["rating"]) == (9, 6, "general")
    assert (row["tags"], row["artist"]) == ("1girl tag_5", "someone")


def names_of_150() -> dict[str, dict[str, list[str]]]:
    """Every way to name the post at place 150, in the second shard."""
    data = picture(150)
    images = {
        "url": "http://booru.demo/original/150.png",
        "post": "booru/8850",
        "md5": hashlib.md5(data).hexdigest(),
        "id": hashlib.sha256(data).hexdigest(),
    }
    return {kind: {"images": [name]} for kind, name in images.items()} | {
        "tag": {"tags": ["tag_150"]}
    }


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", names_of_150())
def test_an_excluded_post_goes_and_only_its_shard_changes(
    booru: FakeRun, kind: str, frozen: bool
) -> None:
    run(300)
    before, rows = shards(), raw()
    run(300, names_of_150()[kind], frozen)
    after = shards()
    assert [name for name in before if before[name] != after[name]] == ["raw-booru-00001.parquet"]
    assert set(rows["post_id"]) - set(raw()["post_id"]) == {"8850"}
    posts = len(pd.read_parquet(POSTS))
    outcomes = booru.logged["outcomes"]
    assert sum(outcomes.values()) == booru.logged["posts"] == posts
    # Discover knows no sha256: the post is listed, and left out once its bytes are known.
    listed = frozen or kind == "id"
    assert posts == (300 if listed else 299)
    assert outcomes["excluded"] == (1 if listed else 0)
    failures = pd.read_parquet(FAILURES)
    assert len(failures) == posts - outcomes["ok"]
    assert failures["outcome"].eq("excluded").sum() == outcomes["excluded"]
    if not listed:
        metrics = json.loads((stage.METRICS / "discover.json").read_text())
        assert metrics["booru/listed"] == metrics["posts"] == 299


def test_excluded_bytes_are_excluded_whoever_posts_them(booru: FakeRun) -> None:
    run(100, {"images": [hashlib.md5(picture(TWINS[0])).hexdigest()]})
    discovered = json.loads((stage.METRICS / "discover.json").read_text())
    assert discovered["posts"] == 98 and discovered["booru/dropped_excluded"] == 2
    run(100, {"images": [hashlib.sha256(picture(TWINS[0])).hexdigest()]})
    assert booru.logged["outcomes"]["excluded"] == 2
    assert booru.logged["outcomes"]["duplicate_bytes"] == 0


def test_nothing_left_is_one_clear_line(booru: FakeRun) -> None:
    run(100)
    before, listed = shards(), FAILURES.read_bytes()
    with pytest.raises(StageError, match=r"none of 100 posts .*'excluded': 100"):
        run(100, {"tags": ["1girl"]}, frozen=True)
    assert shards() == before and FAILURES.read_bytes() == listed
    assert not [path for path in Path("data").rglob("*") if path.name.endswith(".part")]


def results(sizes: list[tuple[str, int, int]]) -> Iterator[Result]:
    """An image of ``size`` bytes for each (source, batch, size)."""
    for number, (source, batch, size) in enumerate(sizes):
        data = number.to_bytes(2, "big") * (size // 2)
        post = Post(url=f"http://a/{number}", source=source, post_id=str(number), batch=batch)
        digests = [hashlib.new(name, data).hexdigest() for name in ("sha256", "md5")]
        yield Result(post, Outcome.OK, "", data, *digests, width=1, height=1)


def store(folder: Path, sizes: list[tuple[str, int, int]]) -> dict[str, Any]:
    tally = raw_shards.Tally()
    raw_shards.store(results(sizes), folder, Exclusions(), shard_mb=1, tally=tally)
    assert tally.outcomes == {"ok": len(sizes)} and tally.frame().empty
    found = sorted(folder.glob("raw-*.parquet"))
    return {path.stem: sorted(map(int, pd.read_parquet(path)["post_id"])) for path in found}


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/raw")


def full_database(self: State, *_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("what", "fails"),
    [
        ("pipeline.core.tables.write_shards", full),
        ("crawl.state.write_whole", full),
        ("crawl.state.State.record", full_database),
    ],
)
def test_a_full_disk_is_one_line_and_no_second_error(
    what: str, fails: Any, booru: FakeRun, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(30)
    before, beside = shards(), []
    shutil.rmtree(".cache/crawl")
    monkeypatch.setattr(what, fails)
    monkeypatch.setattr(sys, "unraisablehook", beside.append)
    capsys.readouterr()
    with pytest.raises(SystemExit), mistakes_in_one_line("crawl"):
        crawl.main()
    gc.collect()
    said = capsys.readouterr().err
    assert said.strip().splitlines()[-1].startswith("crawl: the disk is full")
    assert "Traceback" not in said and "Runner" not in said and beside == []
    assert shards() == before and not list(Path("data").glob(".raw.*"))


def test_a_batch_that_outgrows_its_shard_goes_on_beside_it(tmp_path: Path) -> None:
    large = [("a", 0, 400_000)] * 7
    after = [("b-c", 0, 1000), ("a", 1, 1000), ("a", 1, 1000), ("b-c", 1, 2_000_000)]
    assert store(tmp_path, large + after) == {
        "raw-a-00000": [0, 1, 2],
        "raw-a-00000_01": [3, 4, 5],
        "raw-a-00000_02": [6],
        "raw-a-00001": [8, 9],
        "raw-b-c-00000": [7],
        "raw-b-c-00001": [10],
    }


def test_an_empty_list_of_failures_has_columns_of_text() -> None:
    frame = raw_shards.Tally().frame()
    assert frame.columns.tolist() == raw_shards.COLUMNS and set(frame.dtypes.astype(str)) == {"str"}


def break_host(count: int) -> None:
    """The first ``count`` pictures answer with a page of their own that says no."""
    table = pd.read_parquet("site/pages.parquet")
    table.loc[: count - 1, "bytes"] = [f"<p>No {n}".encode() for n in range(count)]
    tables.write_file(Path("site/pages.parquet"), table)


def test_why_a_crawl_failed_outlives_it(booru: FakeRun) -> None:
    run(100)
    before, listed = shards(), FAILURES.read_bytes()
    break_host(60)
    shutil.rmtree(stage.cache_dir("crawl"))
    with pytest.raises(CrawlError, match=r"60 of 100 .*failures.csv lists the posts") as failed:
        run(100)
    assert "\n" not in str(failed.value) and "59 of them not_an_image" in str(failed.value)
    assert shards() == before and FAILURES.read_bytes() == listed
    kept = pd.read_csv(stage.cache_dir("crawl") / "failures.csv", dtype=str)
    assert kept.columns.tolist() == raw_shards.COLUMNS and len(kept) == 60
    assert kept["outcome"].value_counts().to_dict() == {"not_an_image": 59, "gone": 1}


def test_what_failed_is_asked_again_and_nothing_else(
    booru: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Path("site/pages.parquet").read_bytes()
    break_host(4)
    run(100)
    assert "4 × not_an_image" in capsys.readouterr().err
    assert booru.logged["outcomes"]["ok"] == 94
    Path("site/pages.parquet").write_bytes(good)
    asked: list[str] = []
    answer = server._Handler.do_GET
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            server._Handler, "do_GET", lambda self: (asked.append(self.path), answer(self))
        )
        run(100, frozen=True)  # as `dvc repro --single-item --force crawl` does
    assert sorted(asked) == [f"/original/{place}.png" for place in range(4)] + ["/robots.txt"]
    assert booru.logged["outcomes"]["ok"] == 98


def test_a_source_that_breaks_off_costs_the_others_nothing(booru: FakeRun) -> None:
    good = {"name": "booru", "type": "danbooru", "url": "http://booru.demo", "limit": 20}
    lost = {"name": "lost", "type": "gallery", "url": "http://gallery.demo/nowhere"}
    write_params(
        {"web": {"rate": 100_000}, "discover": {"inputs": "site", "sources": [lost, good]}}
    )
    with pytest.raises(SourceError, match="source 'lost', .*/nowhere: gone: HTTP 404; 0 posts"):
        discover.main()
    assert len(pd.read_parquet(POSTS)) == 20
    metrics = json.loads((stage.METRICS / "discover.json").read_text())
    assert metrics == {"posts": 20, "booru/listed": 20, "lost/listed": 0}
    (kept,) = stage.cache_dir("discover").iterdir()
    assert kept.name.startswith("booru-")

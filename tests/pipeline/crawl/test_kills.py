"""A crawl that is killed again and again ends as one that never was."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crawl.posts import Post, posts_frame
from tests.crawl.misbehaving import Server, Site, body, image_bytes, md5, status
from tests.project import ROOT

IMAGES, KILLS, CONCURRENCY = 2000, 20, 4
# The crawl stage's work without its tracking, which takes seconds to start.
SCRIPT = f"""
import sys
from pathlib import Path
import pandas as pd
from pipeline.core.exclude import Exclusions
from crawl.run import crawl
from crawl.settings import CrawlSettings
from crawl.web.session import Session
from pipeline.core import tables
from pipeline.crawl import raw
posts, work, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
settings = CrawlSettings(
    rate=1e6,
    concurrency={CONCURRENCY},
    allow_private_hosts=("site.demo",),
    max_failure_fraction=1,
)
tally = raw.Tally()
with (
    tables.new_folder(work / "data/raw") as out,
    Session(settings, {{"site.demo": ("127.0.0.1", port)}}) as session,
):
    results = crawl(pd.read_parquet(posts), settings, work / "state", session)
    raw.store(results, out, Exclusions(), 256, tally)
    tables.write_file(work / "dropped.parquet", tally.frame())
"""


@pytest.fixture
def site() -> Site:
    """2,000 small images; some are gone, no image, or sent under two addresses."""
    made = Site()
    for number in range(IMAGES):
        data = image_bytes(number - number % 50 if number % 50 == 1 else number, size=8)
        made.faults[f"/{number}.png"] = body(data)
    made.faults |= {f"/{number}.png": status(404) for number in range(7, IMAGES, 400)}
    made.faults |= {f"/{number}.png": body(b"<html>") for number in range(9, IMAGES, 400)}
    return made


def start(posts: Path, work: Path, server: Server) -> subprocess.Popen[bytes]:
    arguments = [str(posts), str(work), str(server.address[1])]
    env = os.environ | {"DVC_ROOT": str(work)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, env=env)


def images_asked(site: Site) -> list[str]:
    return [seen.path for seen in site.seen if seen.path != "/robots.txt"]


def recorded(work: Path) -> set[str]:
    with sqlite3.connect(work / "state" / "crawl.sqlite") as database:
        rows = database.execute("SELECT url FROM outcomes").fetchall()
    return {urlsplit(url).path for (url,) in rows}


def tables_of(work: Path) -> dict[str, bytes]:
    files = [*sorted((work / "data/raw").iterdir()), work / "dropped.parquet"]
    return {path.name: path.read_bytes() for path in files}


def test_killed_at_twenty_moments_the_tables_are_the_same(site: Site, tmp_path: Path) -> None:
    posts = posts_frame(
        Post(
            url=f"http://site.demo/{number}.png",
            source="site",
            post_id=f"{number:05}",
            # Every other post states its md5, as sites do or do not.
            md5=md5(image_bytes(number, size=8)) if number % 2 == 0 else "",
            batch=number // 100,
        )
        for number in range(IMAGES)
    )
    table = tmp_path / "posts.parquet"
    posts.to_parquet(table)
    luck = random.Random(3)
    killed, before, done = tmp_path / "killed", 0, set[str]()
    with Server(site) as server:
        for kills in range(1, KILLS + 1):
            moment = before + luck.randint(1, IMAGES // KILLS)
            child = start(table, killed, server)
            while len(images_asked(site)) < moment and child.poll() is None:
                time.sleep(0.001)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            asked = images_asked(site)
            assert done.isdisjoint(asked[before:])  # nothing that was complete is asked for again
            assert recorded(killed) >= done
            before, done = len(asked), recorded(killed)
            # Lost is what was under way, whenever the server came to see that it was asked.
            assert len(asked) - len(done) <= kills * CONCURRENCY
        assert start(table, killed, server).wait() == 0
        assert done.isdisjoint(images_asked(site)[before:])
        assert start(table, tmp_path / "whole", server).wait() == 0
    assert tables_of(killed) == tables_of(tmp_path / "whole")
    assert len(tables_of(killed)) == IMAGES // 100 + 1

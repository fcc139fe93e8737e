# ruff: noqa: F811 - fixtures
"""A key in the environment, in addresses and in a site's answers is afterwards in no file."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import pytest

from crawl import secrets
from crawl.run import crawl
from crawl.sources import discover
from crawl.web.keys import from_environment
from models import failures
from pipeline.core import names, tables, tracking
from pipeline.core.commands import mistakes_in_one_line
from pipeline.core.errors import StageError
from pipeline.core.exclude import Exclusions
from pipeline.crawl import raw
from tests.crawl.conftest import connect, quick, server, site  # noqa: F401 - fixtures
from tests.crawl.misbehaving import Site, body, image_bytes, status
from tests.pipeline.conftest import write_params

KEY = "c4naryK3Y8842"
ITEM = """<figure id="{number}"><a href="{link}">x</a><span class="rating">general</span>
<span class="artist">https://me:{key}@a.example/</span><i class="tag">{key}</i></figure>"""


def serve(site: Site) -> None:
    """A gallery whose addresses carry the key, one image of which is gone and one broken."""
    links = [f"/{number}.png?size=1&amp;api_key={KEY}" for number in range(6)]
    items = [ITEM.format(number=n, link=link, key=KEY) for n, link in enumerate(links)]
    site.faults["/"] = body(f"<html>{''.join(items)}</html>".encode())
    for number in range(6):
        site.faults[f"/{number}.png?size=1"] = body(image_bytes(number, size=16))
    site.faults["/4.png?size=1"] = status(404)
    site.faults["/5.png?size=1"] = body(f"<html>{KEY}</html>".encode())


def files_with_key(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def test_no_file_of_a_run_has_it(
    site: Site, connect: Any, project: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(secrets, "_values", set())
    monkeypatch.setenv("SITE_KEY", KEY)
    Path("params.yaml").write_text("")
    caplog.set_level(logging.DEBUG)
    assert from_environment("gallery", "SITE_KEY") == KEY
    serve(site)
    settings = quick(max_failure_fraction=1)
    source = {"name": "gallery", "type": "gallery", "url": "http://site.demo/"}
    posts, _ = discover([source], connect(settings))
    tables.write_file(Path("data/posts.parquet"), posts)
    tally = raw.Tally()
    with tables.new_folder(Path("data/raw")) as out:
        results = crawl(posts, settings, project / ".cache/crawl", connect(settings))
        raw.store(results, out, Exclusions(), 1, tally)
    tables.write_file(Path("data/dropped/posts.parquet"), tally.frame())
    with tracking.stage_run("crawl", {"crawl": {"sources": [source]}}) as run:
        run.artifact(Path("data/posts.parquet"))
        run.artifact(Path("data/dropped/posts.parquet"), "dropped")
    assert tally.outcomes["ok"] == 4 and len(list(Path("mlruns").rglob("posts.parquet"))) == 2
    with pytest.raises(SystemExit), mistakes_in_one_line("crawl"):
        raise ValueError(f"GET http://a.example/?api_key={KEY} of {KEY}")
    failures.keep(ValueError(KEY), "x", secrets.redact)
    assert files_with_key(project) == []
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err + caplog.text
    # The test's own test: what is searched for would be found.
    Path("leak").write_text(KEY)
    assert files_with_key(project) == [project / "leak"]


def test_no_stage_begins_with_one_in_params(project: Path) -> None:
    """So it is in no run of MLflow, and DVC, which records what ends well, has none in dvc.lock."""
    source = {"name": "a", "type": "gallery", "url": f"http://me:{KEY}@a.example/"}
    write_params({"discover": {"sources": [source]}})
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for stage in names.STAGES:
        main = importlib.import_module(f"pipeline.{stage}.__main__").main
        with pytest.raises(StageError, match="no credential stands in params") as caught:
            main(*(["cyclegan"] if stage in ("train", "evaluate") else []))
        assert KEY not in str(caught.value)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("url", [f"http://u:{KEY}@a.example/", f"tcp://{KEY}@h:1"])
@pytest.mark.parametrize("where", [lambda url: {"discover": {"sources": [{"url": url}]}},
                                   lambda url: {"celeba": {"path": url}},
                                   lambda url: {"variants": {"x": {"init": url}}},
                                   lambda url: {"exclude": {"images": ["a", url]}}])  # fmt: skip
def test_params_refuse_it_anywhere_and_do_not_repeat_it(url: str, where: Any) -> None:
    with pytest.raises(StageError, match="no credential stands in params") as caught:
        names.refuse_secrets(where(url), "params.yaml")
    assert KEY not in str(caught.value)

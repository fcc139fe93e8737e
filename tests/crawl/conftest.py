from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawl.settings import CrawlSettings
from crawl.web.session import Session
from tests.crawl.misbehaving import Server, Site

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def quick(**changes: Any) -> CrawlSettings:
    """Settings for a test: no rate limit, and site.demo may be on loopback."""
    values: dict[str, Any] = {
        "rate": 1e4,
        "timeout": 5,
        "retries": 2,
        "max_failure_fraction": 1,
    }
    return CrawlSettings(**(values | {"allow_private_hosts": ("site.demo",)} | changes))


@pytest.fixture
def site() -> Iterator[Site]:
    """What http://site.demo serves; fill ``site.faults``."""
    yield Site()


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    with Server(site) as running:
        yield running


@pytest.fixture
def connect(server: Server) -> Any:
    """A function that opens a Session in which site.demo and other.demo are the test server."""
    opened: list[Session] = []

    def open_session(settings: CrawlSettings) -> Session:
        hosts = ("site.demo", "other.demo")
        opened.append(Session(settings, dict.fromkeys(hosts, server.address)))
        return opened[-1]

    yield open_session
    for session in opened:
        session.__exit__()


@pytest.fixture
def no_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name may be looked up, unless it is an address."""

    def refuse(host: str, *_: object, **__: object) -> None:
        raise AssertionError(f"looked up {host}")

    monkeypatch.setattr("crawl.web.addresses._resolve", refuse)


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent: this test reads real responses from it")
    return SHARED

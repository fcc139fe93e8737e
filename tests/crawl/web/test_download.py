"""One file at a time: whole and checked, or not at all, from where it may come."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from crawl.errors import CrawlError
from crawl.settings import CrawlSettings
from crawl.web.download import download
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import (
    Fault,
    Server,
    Site,
    body,
    drop,
    endless,
    first,
    slow,
    status,
    truncate,
)

DATA = b"weights" * 1000
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


def settings(**changes: Any) -> CrawlSettings:
    return quick(**({"allow_private_hosts": ("127.0.0.1",), "retries": 1} | changes))


def url(server: Server, path: str = "/file") -> str:
    return f"http://127.0.0.1:{server.address[1]}{path}"


@pytest.mark.parametrize("digest", ["", SHA256, f"md5:{hashlib.md5(DATA).hexdigest().upper()}"])
def test_a_file_is_fetched_over_a_redirect_and_in_our_name(
    site: Site, server: Server, tmp_path: Path, digest: str
) -> None:
    site.faults |= {"/file": first(1, status(503), status(302, Location="/there"))}
    site.faults["/there"] = body(DATA)
    path = tmp_path / "new folder" / "file"
    polite = settings(contact="me@example.org")
    download(url(server), path, polite, max_bytes=len(DATA), digest=digest)
    assert path.read_bytes() == DATA and list(path.parent.iterdir()) == [path]
    assert {seen.headers["User-Agent"] for seen in site.seen} == {polite.user_agent}
    assert {seen.headers["Host"] for seen in site.seen} == {f"127.0.0.1:{server.address[1]}"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (status(404), "HTTP 404"),
        (status(503), "HTTP 503"),
        (drop(), "cannot be fetched"),
        (truncate(DATA, 99), "cannot be fetched"),
        (slow(DATA, 1.0), "cannot be fetched: .*timed out"),
        (endless(b"x"), "more than 10,000 bytes"),
        (body(b"<html>quota"), "another sha256"),
        (status(302, Location="/file"), "redirected more than 5 times"),
        (status(302, Location="file:///etc/passwd"), "no http or https URL"),
        (status(302, Location="http://169.254.169.254/"), "169.254.169.254, which is not public"),
        (status(302, Location="http://example.org/"), "web.contact is empty and example.org"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_old_file_stays(
    site: Site, server: Server, tmp_path: Path, fault: Fault, words: str
) -> None:
    site.faults["/file"] = fault
    path = tmp_path / "file"
    path.write_bytes(b"old")
    impatient = settings(timeout=0.3, retries=0)
    with pytest.raises(CrawlError, match=words) as told:
        download(url(server), path, impatient, max_bytes=10_000, digest=SHA256)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_checked_address_is_asked_and_no_proxy(
    site: Site, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str) -> list[str]:
        assert host == "site.demo"
        return ["127.0.0.1"]

    monkeypatch.setattr("crawl.web.addresses._resolve", resolve)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    site.faults["/file"] = body(DATA)
    address = f"site.demo:{server.address[1]}"  # a name that only our own look-up knows
    download(f"http://{address}/file", tmp_path / "file", quick(), max_bytes=10_000)
    assert (tmp_path / "file").read_bytes() == DATA
    assert site.seen[0].headers["Host"] == address
    with pytest.raises(CrawlError, match="not public"):
        download(f"http://{address}/", tmp_path / "x", CrawlSettings(contact="me"), max_bytes=9)

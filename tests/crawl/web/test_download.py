"""One file at a time: whole and checked, or not at all, from where it may come."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
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
        (status(302, Location="http://[/"), "leads to is no http or https URL"),
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


def test_a_folder_that_cannot_be_made_is_told(site: Site, server: Server, tmp_path: Path) -> None:
    site.faults["/file"] = body(DATA)
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(CrawlError, match="cannot be fetched: .*file"):
        download(url(server), tmp_path / "file" / "x", settings(), max_bytes=10_000)


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


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What site.demo shows, trusted by requests and nobody else."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    names = x509.SubjectAlternativeName([x509.DNSName("site.demo")])
    pem = serialization.Encoding.PEM
    public = made.add_extension(names, False).sign(key, hashes.SHA256()).public_bytes(pem)
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = tmp_path / "test.pem"
    file.write_bytes(public + key.private_bytes(pem, form, nothing))
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_the_certificate_must_be_of_the_name_not_of_the_address(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: ssl.SSLContext
) -> None:
    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("crawl.web.addresses._resolve", resolve)
    site.faults["/file"] = body(DATA)
    server = Server(site)
    server._server.socket = certificate.wrap_socket(server._server.socket, server_side=True)
    with server:
        hosts = quick(allow_private_hosts=("site.demo", "other.demo"), retries=0)
        end = f"{server.address[1]}/file"
        download(f"https://site.demo:{end}", tmp_path / "file", hosts, max_bytes=10_000)
        with pytest.raises(CrawlError, match="hostname 'other.demo'"):
            download(f"https://other.demo:{end}", tmp_path / "x", hosts, max_bytes=10_000)
    assert (tmp_path / "file").read_bytes() == DATA and not (tmp_path / "x").exists()

"""One file from the web, for who needs just one: guarded as the crawler is, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.settings import CrawlSettings
from crawl.web.addresses import AddressGuard
from crawl.web.retry import BUSY, UnreachableError
from crawl.web.urls import web_host

MAX_REDIRECTS = 5
_CHUNK = 1 << 20  # bytes written at once


def download(
    url: str, path: Path, settings: CrawlSettings, *, max_bytes: int, digest: str = ""
) -> None:
    """Put what ``url`` gives at ``path``, in one move once it is whole.

    Only public addresses are contacted, at every redirect, unless the settings list the host.

    Args:
        url: an http or https address.
        path: the file to write; its folder is made.
        settings: contact, timeout, retries.
        max_bytes: more is refused.
        digest: ``sha256:…`` or ``md5:…`` in hex, what the file must have; empty: nothing is known.

    Raises:
        CrawlError: in one line, for whatever went wrong; ``path`` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    name, _, wanted = digest.partition(":")
    sums = hashlib.new(name or "sha256", usedforsecurity=False)
    size = 0
    try:
        with _answer(url, settings) as answer, beside.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise FetchError(Outcome.TOO_LARGE, f"it has more than {max_bytes:,} bytes")
                sums.update(chunk)
                file.write(chunk)
        if wanted and sums.hexdigest() != wanted.lower():
            raise CrawlError(f"what {url} gives has another {name}: {sums.hexdigest()}")
        beside.replace(path)
    except (FetchError, UnreachableError, requests.RequestException, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CrawlError(f"{url} cannot be fetched: {reason[:200]}") from None
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _answer(url: str, settings: CrawlSettings) -> Iterator[requests.Response]:
    """The answer with the file, its body unread; redirects are followed hop by hop."""
    guard = AddressGuard(settings.allow_private_hosts, settings.contact)
    headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
    for _ in range(MAX_REDIRECTS + 1):
        if not (netloc := web_host(url)):
            raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{url} is no http or https URL")
        host = urlsplit(url).hostname or ""
        address = asyncio.run(guard.addresses(host, host))[0]
        with requests.Session() as http:
            http.trust_env = False  # a proxy would connect to addresses that were not checked
            for scheme in ("http://", "https://"):
                http.mount(scheme, _Pinned(address, settings))
            answer = http.get(
                url,
                headers={**headers, "Host": netloc},
                timeout=settings.timeout,
                allow_redirects=False,
                stream=True,
            )
            if not answer.is_redirect:
                if answer.status_code != 200:
                    raise FetchError(Outcome.GAVE_UP, f"HTTP {answer.status_code}")
                yield answer
                return
            url = urljoin(url, answer.headers["Location"])
    raise FetchError(Outcome.GAVE_UP, f"redirected more than {MAX_REDIRECTS} times")


class _Pinned(HTTPAdapter):
    """Connects to ``address``: a name that is resolved twice may have another one the second time
    (DNS rebinding). Host header and certificate stay with the name.
    """

    def __init__(self, address: str, settings: CrawlSettings) -> None:
        self._address = address
        retries = Retry(
            settings.retries,
            status_forcelist=BUSY,
            backoff_factor=0.5,
            raise_on_status=False,
            retry_after_max=int(settings.retry_after_max),
        )
        super().__init__(max_retries=retries)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        where, tls = super().build_connection_pool_key_attributes(*args, **kwargs)
        if where["scheme"] == "https":
            tls |= {"server_hostname": where["host"], "assert_hostname": where["host"]}
        return {**where, "host": self._address}, tls

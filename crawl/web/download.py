"""One file from the web, for who needs just one: guarded as the crawler is, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.settings import CrawlSettings
from crawl.web.addresses import AddressGuard
from crawl.web.retry import BUSY, UnreachableError
from crawl.web.urls import MAX_REDIRECTS, absolute, web_host

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
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    name, _, wanted = digest.partition(":")
    sums = hashlib.new(name or "sha256", usedforsecurity=False)
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        cause = getattr(next(iter(error.args), None), "reason", None) or error  # of MaxRetryError
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise CrawlError(f"{url} cannot be fetched: {reason[:200]}") from None
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def _answer(url: str, settings: CrawlSettings) -> Iterator[requests.Response]:
    """The answer with the file, its body unread; redirects are followed hop by hop."""
    guard = AddressGuard(settings.allow_private_hosts, settings.contact)
    headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
    for _ in range(MAX_REDIRECTS + 1):
        if not (netloc := web_host(url)):
            url = url or "where it leads to"
            raise FetchError(Outcome.FORBIDDEN_ADDRESS, f"{url} is no http or https URL")
        host = urlsplit(url).hostname or ""
        address = asyncio.run(guard.addresses(host, host))[0]
        request = requests.Request("GET", url, headers | {"Host": netloc}).prepare()
        # No Session: it would use proxies, and read all that comes with a redirect.
        with (
            closing(_Pinned(address, settings)) as adapter,
            adapter.send(request, stream=True, timeout=settings.timeout) as answer,
        ):
            if not answer.is_redirect:
                if answer.status_code != 200:
                    raise FetchError(Outcome.GAVE_UP, f"HTTP {answer.status_code}")
                yield answer
                return
            url = absolute(url, answer.headers["Location"])
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

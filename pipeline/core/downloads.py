"""Single files that a stage needs from the web."""

from __future__ import annotations

from pathlib import Path

from crawl.settings import CrawlSettings
from crawl.web.download import download
from pipeline.core import params


def fetch(url: str, path: Path, *, max_bytes: int, digest: str) -> None:
    """`crawl.web.download.download`, as politely as section ``web`` says.

    That section says how, and the digest says what: a stage that only fetches need not depend on
    it. Raises CrawlError.
    """
    polite = CrawlSettings(**params.load(params.Web).model_dump())
    download(url, path, polite, max_bytes=max_bytes, digest=digest)

"""Reading URLs that strangers wrote."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urljoin, urlsplit

MAX_REDIRECTS = 5  # that are followed, each to an address that may be asked


@lru_cache(1 << 12)  # every URL is looked at several times on its way
def web_host(url: str) -> str:
    """Host, with the port if there is one, of an http(s) URL; empty when ``url`` is none."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises ValueError when it is no number, or too large a one
    except ValueError:  # e.g. http://[
        return ""
    return parts.netloc.rpartition("@")[2].lower() if has_host else ""


def absolute(page: str, link: str) -> str:
    """``link`` as it stands on ``page``, as an absolute URL; empty when it can be none."""
    try:
        return urljoin(page, link.strip()).strip() if link.strip() else ""
    except ValueError:  # e.g. http://[
        return ""

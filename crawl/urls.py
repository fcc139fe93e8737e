"""Reading URLs that strangers wrote."""

from __future__ import annotations

from urllib.parse import urlsplit


def web_host(url: str) -> str:
    """Host, with the port if there is one, of an http(s) URL; empty when ``url`` is none."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # e.g. http://[
        return ""
    return parts.netloc.rpartition("@")[2].lower() if has_host else ""

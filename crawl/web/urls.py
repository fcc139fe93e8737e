"""Reading URLs that strangers wrote."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

MAX_REDIRECTS = 5  # that are followed, each to an address that may be asked
_QUERY = re.compile(r"(?s)([^?#]*)([?#]?)(.*)")
_AS_IT_STANDS = "!#$%&'()*+,/:;=?@[]~"  # in a URL; all else but letters and digits is escaped


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
    """``link`` as it stands on ``page``, as an absolute URL; empty when it can be none.

    As browsers read it: a backslash is a slash, up to the query.
    """
    try:
        path, mark, rest = _QUERY.match(link.strip()).groups()  # type: ignore[union-attr]
        slashed = path.replace("\\", "/") + mark + rest
        return urljoin(page, slashed).strip() if slashed else ""
    except ValueError:  # e.g. http://[
        return ""


def referer(page: str, url: str) -> str:
    """What a browser sends as Referer with a request for ``url`` that ``page`` shows; or nothing.

    Its default policy, ``strict-origin-when-cross-origin``: the whole address within a site, the
    origin to others, nothing from https to http.
    """
    host = web_host(page)
    if not host or (page.startswith("https:") and not url.startswith("https:")):
        return ""
    parts = urlsplit(page)
    own = web_host(url) == host and urlsplit(url).scheme == parts.scheme
    place = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}" if own else "/"
    return quote(f"{parts.scheme}://{host}{place}", safe=_AS_IT_STANDS)

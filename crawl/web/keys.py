"""Keys that a site gave its user: taken from the environment, sent to that site, shown nowhere."""

from __future__ import annotations

import html
import json
import os
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

from crawl.errors import CrawlError
from crawl.web.session import Credentials

_TELLING = 6  # characters; hiding a shorter value, say a user's number, would garble any text


def from_environment(source: str, variable: str) -> str:
    """The value of the environment variable that the declaration of ``source`` names.

    Raises CrawlError, without the value, when it is not set or cannot be a key.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CrawlError(
            f"source '{source}': the environment variable {variable} is not set: "
            "export it, or take its name out of the declaration"
        )
    if not (value.isascii() and value.isprintable()):
        raise CrawlError(
            f"source '{source}': the environment variable {variable} holds a character that no "
            "key has: export it again"
        )
    return value


def hide(text: str, credentials: Credentials) -> str:
    """``text`` with ``***`` for every secret in it, in every form that an answer may have it: a
    site may repeat, say in a redirect or as its reason, what it was sent.
    """
    forms = {form for value in _secrets(credentials) for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _secrets(credentials: Credentials) -> Iterator[str]:
    for value in (*credentials.query.values(), *credentials.headers.values()):
        kind, _, token = value.partition(" ")
        values = [value, token]
        if kind == "Basic":
            with suppress(ValueError):
                values += b64decode(token).decode().split(":", 1)
        yield from (value for value in values if len(value) >= _TELLING)


def _forms(value: str) -> Iterator[str]:
    yield from (value, quote(value), quote(value, safe=""), quote_plus(value))
    yield from (html.escape(value), json.dumps(value)[1:-1])

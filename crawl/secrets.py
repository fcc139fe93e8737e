"""Credentials: what of a URL is one, and a text without any.

A key goes from the environment to its site. It stands in no URL of params, in no table, and in
nothing that is printed or logged.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit, urlunsplit

HIDDEN = "***"
_TELLING = 6  # characters; hiding a shorter value, say a user's number, would garble any text
# Of a parameter's name, split where words part: ``api_key``, ``X-Amz-Signature``, ``accessToken``.
_WORDS = {
    *("apikey", "auth", "authkey", "authorization", "bearer", "credential", "credentials"),
    *("jsessionid", "jwt", "pass", "passphrase", "passwd", "password", "phpsessid", "pwd"),
    *("secret", "session", "sessionid", "sid", "sig", "signature", "token"),
}
_KEYS = {"access", "api", "app", "auth", "client", "private", "secret", "user"}  # … before "key"
_USER = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/\s'\"<>]*@", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&#;])([^=&#;\s'\"<>?/]{1,80})=([^&#;\s'\"<>]*)")
_values: set[str] = set()  # that this process was given


def remember(*values: str) -> None:
    """From now on `redact` hides these, wherever they turn up.

    Of a header like ``Bearer abc`` also what follows the word, and the password in ``Basic``.
    """
    for value in values:
        kind, _, token = value.partition(" ")
        told = [value, token]
        if kind == "Basic":
            with suppress(ValueError):
                told += b64decode(token).decode().split(":", 1)[1:]
        _values.update(secret for secret in told if len(secret) >= _TELLING)


def redact(text: str) -> str:
    """``text`` with ``***`` for every credential in it: in URLs, and all that are remembered."""
    forms = {form for value in _values for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    if "://" in text:
        text = _USER.sub(rf"\g<1>{HIDDEN}@", text)
    return _PARAMETER.sub(_hidden, text) if "=" in text else text


def credential_in(text: str) -> str:
    """What credential a URL within ``text`` has, by its name; empty without one."""
    if _USER.search(text):
        return "a name or password before its host"
    if "://" not in text:
        return ""
    for match in _PARAMETER.finditer(text):
        if match[3] and match[3] != HIDDEN and is_secret(unquote_plus(match[2])):
            return f"the parameter {unquote_plus(match[2])}"
    return ""


def bare(url: str) -> str:
    """``url`` without credentials; not a character of any other URL is changed."""
    if not credential_in(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. http://[
        return redact(url)
    host = parts.netloc.rpartition("@")[2]
    query, fragment = _without(parts.query), _without(parts.fragment)
    return urlunsplit(parts._replace(netloc=host, query=query, fragment=fragment))


def _forms(value: str) -> Iterator[str]:
    """How an answer may write ``value``: as it is, in an address, in HTML, in JSON."""
    yield from (value, quote(value), quote(value, safe=""), quote_plus(value))
    yield from (html.escape(value), json.dumps(value)[1:-1])


def _without(query: str) -> str:
    parts = re.split("([&;])", query)
    kept = [
        (mark, part)
        for mark, part in zip(["", *parts[1::2]], parts[::2], strict=True)
        if "=" not in part or not is_secret(unquote_plus(part.partition("=")[0]))
    ]
    return "".join(mark + part for mark, part in kept).lstrip("&;") if kept else ""


def _hidden(match: re.Match[str]) -> str:
    secret = is_secret(unquote_plus(match[2]))
    return f"{match[1]}{match[2]}={HIDDEN}" if secret else match[0]


@lru_cache(1 << 10)
def is_secret(name: str) -> bool:
    """Whether a parameter of that name is one, by the words of the name."""
    parts = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    pairs = zip(parts, parts[1:], strict=False)
    return not _WORDS.isdisjoint(parts) or any(a in _KEYS and b == "key" for a, b in pairs)

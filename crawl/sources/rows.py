"""Reading posts out of JSON that strangers wrote.

One rule for all sites: a post is used whole or not at all. A key that is absent, null or empty
is something that the site does not state; a key with a value of another kind makes the post unfit:
it is left out and counted with the reason. When none can be read, the site has changed its format,
and that is a SourceError, not a silently empty data set.
"""

from __future__ import annotations

import json
import re
import reprlib
from datetime import UTC, datetime
from typing import Any

from crawl.errors import SourceError
from crawl.sources.listing import Unfit
from crawl.web.urls import absolute

_MAX_INT32 = 2**31 - 1  # sizes are stored as int32
_MAX_INT64 = 2**63 - 1
_DIGITS = re.compile(r"[1-9][0-9]{0,17}")
_YEARS = range(1990, 2200)


class Row:
    """One JSON object. Every method raises ValueError naming the key whose value it cannot use."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, key: str) -> str:
        """A string on one line; empty when it is not stated."""
        value = self._values.get(key)
        return "" if value is None else _line(key, value)

    def text_or_number(self, key: str) -> str:
        """A string on one line, or a whole number as one; empty when not stated."""
        value = self._values.get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return str(self.number(key) or "") if whole else self.text(key)

    def words(self, key: str) -> str:
        """A list of strings, joined by spaces, spaces within them turned into ``_``."""
        names = self._values.get(key)
        if names is None:
            return ""
        if not isinstance(names, list):
            raise _unfit(key, names, "a list")
        return " ".join("_".join(_line(key, name).split()) for name in names)

    def number(self, key: str, largest: int = _MAX_INT32) -> int | None:
        """A whole number from 1 to ``largest``; None when it is not stated, or 0."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
            raise _unfit(key, value, f"a whole number up to {largest:,}")
        return value or None

    @property
    def id(self) -> int:
        """The post's number, which some sites write as text."""
        value = self._values.get("id")
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return int(value)
        number = self.number("id", _MAX_INT64)
        if number is None:
            raise ValueError("it has no 'id'")
        return number

    def md5(self, key: str) -> str:
        """32 hexadecimal digits in lower case; empty when not stated."""
        value = self.text(key)
        if value and not re.fullmatch(r"[0-9a-fA-F]{32}", value):
            raise _unfit(key, value, "an md5")
        return value.lower()

    def link(self, key: str, page: str) -> str:
        """A URL, made absolute as it stands on ``page``; empty when not stated or impossible."""
        return absolute(page, self.text(key))

    def iso_time(self, key: str) -> datetime | None:
        """An ISO 8601 time with its zone."""
        value = self.text(key)
        return plausible(key, datetime.fromisoformat(value)) if value else None

    def unix_time(self, key: str) -> datetime | None:
        """Seconds since 1970, UTC."""
        seconds = self.number(key, _MAX_INT32 * 2)
        return plausible(key, datetime.fromtimestamp(seconds, UTC)) if seconds else None


def plausible(key: str, moment: datetime) -> datetime:
    """``moment``, that the value of ``key`` states. Raises ValueError for one without a time zone
    or before there were such sites.
    """
    if moment.tzinfo is None or moment.year not in _YEARS:
        raise _unfit(key, moment.isoformat(), "a time with its zone that can be")
    return moment


def load(source: str, page: str, body: bytes) -> Any:
    """The JSON value that ``body`` is. Raises SourceError when it is something else."""
    try:
        # Not strict: sites do not always escape line breaks within strings. NaN is not JSON.
        return json.loads(body, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SourceError(source, page, f"is not JSON, it starts with {body[:40]!r}") from None


def rows_of(source: str, page: str, value: Any) -> list[Row | Unfit]:
    """The rows of a list of JSON objects, each with an ``id``; what is something else is unfit.
    Raises SourceError when ``value`` is no list.
    """
    if not isinstance(value, list):
        raise SourceError(source, page, f"is not a list of posts: {shown(value)}")
    return [row_of(page, item) for item in value]


def row_of(page: str, value: Any) -> Row | Unfit:
    """The row that a JSON object is, if it is one and has an ``id``."""
    if not isinstance(value, dict):
        return Unfit(page, f"holds something else than posts: {shown(value)}")
    row = Row(value)
    try:
        _ = row.id
    except ValueError as error:
        return Unfit(page, f"holds a post without an id ({error}): {shown(value)}")
    return row


def shown(value: object) -> str:
    """``value``, cut short, on one line and without what a terminal could not print."""
    return ascii(reprlib.repr(value))[1:-1]


def _line(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise _unfit(key, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no table can store it
        raise _unfit(key, value, "text in Unicode") from None
    return " ".join(value.split())


def _unfit(key: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"its '{key}' is {shown(value)}, not {wanted}")


def _refuse(constant: str) -> None:
    raise ValueError(constant)

"""A text of strangers: its encoding, which of its letters count, and how tables number their rows.
One rule for all readers.
"""

from __future__ import annotations

import codecs
import unicodedata

_MARKS = {  # byte order marks, the longer ones first
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MARK = "\ufeff"
NUMBERING = frozenset({"", "index", "unnamed: 0"})  # what a table's column of row numbers is called


def encoding(data: bytes) -> str:
    """The encoding that a byte order mark states; UTF-16 without one is told by its first zero, and
    all else is UTF-8.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    if not mark and b"\0" in data[:2]:
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return _MARKS.get(mark, "utf-8")


def decoded(data: bytes, errors: str = "strict") -> str:
    """The text that ``data`` is, without marks. Raises UnicodeError, or as ``errors`` says."""
    return data.decode(encoding(data), errors).replace(_MARK, "")


def is_seen(letter: str) -> bool:
    """Whether a reader sees ``letter``, or the room that it takes."""
    if "\ufe00" <= letter <= "\ufe0f":  # which of two pictures of a sign is meant
        return False
    return letter.isspace() or unicodedata.category(letter) not in ("Cf", "Cc")

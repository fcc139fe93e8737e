"""In which encoding a text of strangers is: the one rule for tables and robots.txt."""

from __future__ import annotations

import codecs

_MARKS = {  # byte order marks, the longer ones first
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MARK = "\ufeff"


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

"""Tables and texts in Markdown, for the pages that people read.

What a stranger wrote, as the licence of a post, is shown as it reads: no HTML, no second line and
no further cell comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 200  # characters of a text that are shown
# A backslash makes any of these a plain character.
_MEANING = re.compile(r"([\\`*_\[\]<>&|~])")
# Before it a backslash is put: what begins an item of a list, a heading or a line.
_AT_START = re.compile(r"^(?:(?=[-+](?:[\s-]|$)|[#=])|(\d{1,9})(?=[.)](?:\s|$)))")
# Controls, what turns the direction of writing, what has no width, halves of surrogates.
_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)


def plain(text: str) -> str:
    """``text`` on one line, without control characters, cut where it is long."""
    line = " ".join(_HIDDEN.sub(" ", text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def escape(text: str) -> str:
    """Any text as Markdown that shows it, within a paragraph, a list's item or a cell."""
    return _AT_START.sub(r"\1\\", _MEANING.sub(r"\\\1", plain(text)))


def code(text: str) -> str:
    """Any text as a span of code, which shows it as it is."""
    line = plain(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def grid(header: list[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers get thousands separators, and texts are escaped."""
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else escape(str(cell)) for cell in row]
        for row in rows
    ]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

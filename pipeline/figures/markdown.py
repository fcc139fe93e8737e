"""Tables in Markdown, for the pages that people read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# What Markdown or the HTML within it would take for more than text.
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$-])")


def plain(text: object) -> str:
    """``text`` of a stranger as Markdown that shows it, on one line, and does nothing else.

    Letters, digits and what is no mark of Markdown stay as they are; an address is no link.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return _MARKS.sub(r"\\\1", line).replace("://", ":\\//").replace("@", "\\@")


def code(text: object) -> str:
    """``text`` between backticks, whatever it holds: one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line or not line else f"`{line}`"


def grid(header: list[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers get thousands separators, and pipes in texts are escaped."""
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row]
        for row in rows
    ]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

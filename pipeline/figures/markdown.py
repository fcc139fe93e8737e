"""Tables in Markdown, for the pages that people read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# What Markdown, or HTML within it, takes for more than text; and what it does at a line's start.
_MARKS = re.compile(r"([\\`*_\[\]<>|~&$@])")
_STARTS = re.compile(r"^([-+#=]|\d+(?=[.)]))")

_PIPE = re.compile(r"(?<!\\)\|")


def plain(text: object) -> str:
    """``text`` of a stranger as Markdown that shows it, on one line, and does nothing else.

    Letters, digits and what is no mark of Markdown stay as they are; an address is no link.
    """
    line = _MARKS.sub(r"\\\1", _line(text)).replace("://", ":\\//")
    return _STARTS.sub(lambda m: f"{m[1]}\\" if m[1].isdigit() else f"\\{m[1]}", line)


def code(text: object) -> str:
    """``text`` between backticks, whatever it holds: one line."""
    line = _line(text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line or not line else f"`{line}`"


def _line(text: object) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def grid(header: list[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers get thousands separators, and pipes in texts are escaped. What a
    stranger wrote comes as `plain` has it.
    """
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else _PIPE.sub(r"\\|", str(cell)) for cell in row]
        for row in rows
    ]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

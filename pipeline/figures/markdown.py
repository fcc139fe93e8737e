"""Tables in Markdown, for the pages that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def grid(header: list[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers get thousands separators, and pipes in texts are escaped."""
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row]
        for row in rows
    ]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

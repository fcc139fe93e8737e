"""What a name may be that becomes part of paths, columns and commands, and which one was meant."""

from __future__ import annotations

import difflib

NAME = "[A-Za-z][A-Za-z0-9_-]{0,63}"


def nearest(word: str, known: list[str]) -> str:
    """`` — did you mean 'x'?`` when a known word is close, otherwise the known words."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" — did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"

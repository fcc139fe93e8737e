"""Tables as GitHub shows them."""

from __future__ import annotations

import pandas as pd


def markdown(table: pd.DataFrame) -> str:
    """``table`` without its index."""
    lines = [list(table.columns), ["---"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)

"""Sheets of held-out translations of one direction."""

from __future__ import annotations

from pathlib import Path

from models.checkpoint import Translator
from models.data.augment import channels_last
from models.data.domain import Domain
from models.domains import DIRECTIONS
from pipeline.evaluate.measure import opposite
from pipeline.figures import sheets

STRIP = 8  # pictures that the result page shows of every variant, side by side


def draw(path: Path, translator: Translator, source: Domain, direction: str, rows: int) -> None:
    """Write a PNG of 2 × ``rows`` held-out sources, their translations and the way back.

    Beside it, as NAME-strip.png, the first `STRIP` sources above their translations.
    """
    shown = source.take(range(min(2 * rows, len(source))))
    there = translator.translate(shown.images, direction, shown.labels)
    back = translator.translate(there, opposite(direction), shown.labels)
    a, b = DIRECTIONS[direction]
    columns = {f"{a} (real)": shown.images, f"to {b}": there, f"back to {a}": back}
    title = f"{translator.variant.name}: {a} to {b}, held-out test images, not hand-picked"
    sheets.comparison_sheet(path, {name: channels_last(x) for name, x in columns.items()}, title)
    first = [channels_last(images[:STRIP]) for images in (shown.images, there)]
    sheets.strip(path.with_name(f"{path.stem}-strip.png"), first)

"""What the result page says of its own making: data, date, commit, time of training.

These decide no number. What is not known is not said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.domains import DIRECTIONS
from models.runtime.files import CONFIG, read_config
from pipeline.compare import measured
from pipeline.compare.words import MANY
from pipeline.core import tracking
from pipeline.core.origin import commit_in_words
from pipeline.core.paths import CHECKPOINTS

DRAWN = " (drawn by the demo)"
ALMOST_ALL = 0.9  # of held-out pictures: a find that is no drawn face has no truth


def facts(metrics: Mapping[str, Any], reports: Path) -> dict[str, str]:
    """Name → what is known, in words; of ``metrics`` by variant and the cards of the data sets."""
    known = {
        "Data": data(next(iter(metrics.values()))["val"], reports / "datasets"),
        "Made": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        "Commit": commit_in_words(),
        "Training": training(list(metrics)),
    }
    return {name: text for name, text in known.items() if text}


def data(blocks: Mapping[str, Any], cards: Path) -> str:
    """How many pictures of what, and whether the demo drew them; ``blocks``: by direction."""
    counts, origins, sizes = [], [], set()
    for direction, (domain, _) in DIRECTIONS.items():
        path = cards / domain / "card.json"
        card = measured.card(path) if path.is_file() else {}
        counts.append(f"{card['images']:,} {MANY[domain]}" if card else MANY[domain])
        origins.append(_drawn(blocks[direction]))
        sizes |= {f" of {card['pixels']} px"} if card else set()
    if set(origins) == {DRAWN}:
        return f"drawn demo data: {' and '.join(counts)}{sizes.pop() if len(sizes) == 1 else ''}"
    told = " and ".join(count + origin for count, origin in zip(counts, origins, strict=True))
    return told + (f",{sizes.pop()}" if len(sizes) == 1 else "")


def _drawn(block: Mapping[str, Any]) -> str:
    """Whether a direction's sources are the demo's: of those alone `evaluate` knows the truth."""
    if "agreement_with_truth" not in block:
        return ""
    heads = block["agreement_with_truth"].values()
    known = max((head["translated"]["n"] for head in heads), default=0)
    all_of_them = known >= ALMOST_ALL * block["quality"]["kid"]["translated"]["n_fake"]
    return DRAWN if all_of_them else " (in part drawn by the demo)"


def training(variants: list[str]) -> str:
    """How long each variant trained, where its weights are here and MLflow knows."""
    times = []
    for variant in variants:
        key = key_of(variant)
        seconds = tracking.newest_metric(key, "seconds") if key else math.nan
        if not math.isnan(seconds):
            times.append(f"{variant} {duration(seconds)}")
    return ", ".join(times)


def key_of(variant: str) -> str:
    """The key of the training whose weights are here; empty where there are none."""
    folder = CHECKPOINTS / variant
    return str(read_config(folder).get("key", "")) if (folder / CONFIG).is_file() else ""


def duration(seconds: float) -> str:
    """``90`` → ``90 s``, ``600`` → ``10 min``, ``9000`` → ``2.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""A made-up project's reports, and the page of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.compare import ranking, report
from pipeline.figures import sheets
from tests.pipeline.compare.made_up import DIRECTION, board, metrics

CARD = """---
license: other
---

# {0}: 3 aligned faces of 64 pixels

![the mean face](mean.png)

| split | images |
| --- | ---: |
| train | 3 |
"""
LONG = "a-variant-that-has-quite-a-long-name"


def write_reports(folder: Path) -> None:
    """What the stages leave, as far as the page shows it."""
    pictures = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), np.uint8)
    drawn = folder / "sheets/evaluate"
    for variant in ("cyclegan", "x<gan", LONG):
        for direction in (DIRECTION, "anime2photos"):
            sheets.strip(drawn / variant / f"{direction}-strip.png", [pictures, pictures[::-1]])
            sheets.comparison_sheet(drawn / variant / f"{direction}.png", {"a": pictures}, "b")
        curve = pd.DataFrame({"images": [0, 1000, 2000], "cycle": [0.5, 0.3, np.nan]})
        held_out = pd.DataFrame({"images": [1000, 2000], f"kid_{DIRECTION}": [0.9, 0.7]})
        for kind, frame in (("train", curve), ("held_out", held_out)):
            (folder / "plots" / kind).mkdir(parents=True, exist_ok=True)
            frame.to_csv(folder / "plots" / kind / f"{variant}.csv", index=False)
    sheets.contact_sheet(folder / "sheets/dedupe/duplicates.png", list(pictures), ["12 of 256"] * 8)
    read = {head: {"balanced": 0.9, "chance": 0.5, "images": 36} for head in ("hair", "smile")}
    told = {"dedupe": {"removed": {"exact": 1234}}, "recognizer": {"evaluation": {"anime": read}}}
    (folder / "metrics").mkdir()
    for name, numbers in told.items():
        (folder / f"metrics/{name}.json").write_text(json.dumps(numbers))
    for domain in ("photos", "anime"):
        place = folder / "datasets" / domain
        sheets.contact_sheet(place / "mean.png", [pictures[0]])
        (place / "README.md").write_text(CARD.format(domain))
        card = {"images": 3, "pixels": 64, "attributes": {"hair": {"black": 0.5, "red": 0.5}}}
        (place / "card.json").write_text(json.dumps(card))


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two variants tie, and a third one is behind."""
    folder = tmp_path_factory.mktemp("reports")
    write_reports(folder)
    variants = {
        "cyclegan": metrics(1.0),
        "x<gan": metrics(1.02, parameters=200),
        LONG: metrics(2.0, kept=0.2, found=0.2),
    }
    ranked = board(variants)
    result = {
        "checks": {row["variant"]: ranking.checks(row) for _, row in ranked.iterrows()},
        "winner": {"cyclegan": variants["cyclegan"]["test"]},
    }
    facts = {"Data": "drawn demo data", "Made": "1 May 2026", "Commit": "abc1234"}
    return report.page(ranked, result, DIRECTION, facts, folder)

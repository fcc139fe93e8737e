"""The result page: one HTML file that needs nothing beside it, pictures included.

What it says is in ``report.html``; here is what that is filled with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import stage, tracking
from pipeline.figures import charts, html

STAGES = {
    "discover": "which posts the sources offer",
    "crawl": "what was downloaded",
    "faces": "what was cut out of the crawled images, brought to one size and place",
    "dedupe": "repeated images found and removed",
    "celeba": "photos filtered by label, brought to the same size and place",
    "split": "train, validation and test",
    "recognizer": "the attribute networks: one for losses, one that only evaluates",
}
CONTROLS = {
    "untrained": "the same network before training",
    "copy": "source images as they are",
    "floor": "other real images of the target",
}
CHECKS = {
    "beats_untrained": "closer to the target than the untrained network",
    "beats_copy": "closer to the target than the source images",
    "keeps_hair_better_than_shuffled": "keeps hair colour better than a random target image",
}


def page(
    board: pd.DataFrame, result: Mapping[str, Any], direction: str, reports: Path = Path("reports")
) -> str:
    """HTML of the whole page.

    Args:
        board: `ranking.leaderboard`'s result.
        result: the checks, and the winner's numbers on test.
        direction: the one that ranks.
        reports: where pictures and curves are; those that are absent are left out.
    """
    variants = [str(name) for name in board["variant"]]
    sheets = [reports / "sheets/evaluate" / name for name in variants]
    shown = sheets[0] / f"{direction}.png"
    drawn = [_curves(reports / "plots" / name, variants) for name in ("held_out", "train")]
    stages = [_stage(reports, name, text) for name, text in STAGES.items()]
    return html.render(
        Path(__file__).with_name("report.html"),
        title="face2anime: results",
        board=board.astype(object).where(board.notna(), None).to_dict("records"),
        heads=[c.removesuffix("_shuffled") for c in map(str, board) if c.endswith("_shuffled")],
        winner=variants[0],
        direction=direction,
        test=result["winner"][variants[0]][direction],
        sheet=shown,
        chart=_chart(board),
        controls=CONTROLS,
        checks=result["checks"],
        check_texts=CHECKS,
        translations=[p for folder in sheets for p in sorted(folder.glob("*.png")) if p != shown],
        curves=[svg for svg in drawn if svg],
        cards=sorted(path.parent.name for path in reports.glob("datasets/*/README.md")),
        stages=[told for told in stages if told["counts"] or told["sheets"]],
    )


def _chart(board: pd.DataFrame) -> str:
    """KID of all variants and of the best one's controls."""
    best = board.iloc[0]
    rows = [
        (str(row["variant"]), row["kid"], row["kid_low"], row["kid_high"], False)
        for row in board.to_dict("records")
    ]
    rows += [
        (name, best[name], best[f"{name}_low"], best[f"{name}_high"], True) for name in CONTROLS
    ]
    shown = [row for row in rows if row[0] != "untrained"]  # it may be further off than all else
    limit = float(np.nanmax([high for _, _, _, high, _ in shown]))
    return charts.intervals("KID on validation (root scale)", rows, limit)


def _curves(folder: Path, variants: list[str]) -> str:
    files = {name: folder / f"{name}.csv" for name in variants}
    return charts.curves(
        {name: pd.read_csv(p).set_index("images") for name, p in files.items() if p.is_file()}
    )


def _stage(reports: Path, name: str, text: str) -> dict[str, Any]:
    path = reports / "metrics" / f"{name}.json"
    counts = tracking.flatten(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
    sheets = sorted((reports / stage.SHEETS.name / name).rglob("*.png"))
    return {"name": name, "text": text, "counts": counts, "sheets": sheets[:2]}

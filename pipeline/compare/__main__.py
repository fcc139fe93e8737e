"""Stage ``compare``: which variant is best, decided on validation and then reported once on test.

Reads ``reports/metrics/VARIANT.json`` of every row of ``variants``; see `ranking` for the rule.
Writes ``reports/leaderboard.csv``, ``reports/held_out.csv``, ``reports/compare.json``,
``reports/summary.json`` and ``reports/index.html``. The winner is registered with MLflow, see
`register`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from models.runtime.files import write_bytes
from pipeline.compare import measured, ranking, report
from pipeline.compare.facts import facts, key_of
from pipeline.compare.register import register
from pipeline.core import params, stage, tracking, view
from pipeline.core.errors import StageError
from pipeline.core.paths import LEADERBOARD

RESULT = Path("reports/compare.json")
SUMMARY = Path("reports/summary.json")
HELD_OUT = Path("reports/held_out.csv")
PAGE = Path("reports/index.html")


def main(show: Annotated[bool, typer.Option(help="Only print the result again.")] = False) -> None:
    """Run the stage."""
    if show:
        if not LEADERBOARD.is_file():
            raise StageError(f"{LEADERBOARD} is missing: dvc repro compare")
        board = measured.board(LEADERBOARD.read_bytes(), str(LEADERBOARD), "dvc repro compare")
        print(ranking.summary(board))
        return
    settings = params.load(params.Compare)
    variants = list(params.load_variants())
    metrics = ranking.read_metrics(variants)
    board = ranking.leaderboard(metrics, settings.direction)
    winner = str(board["variant"].iloc[0])
    rows = board.set_index("variant").iterrows()
    result: dict[str, Any] = {
        "checks": {variant: ranking.checks(row) for variant, row in rows},
        "winner": {winner: metrics[winner]["test"]},
    }
    with tracking.stage_run("compare", params.plain(settings), inputs=[stage.METRICS]) as run:
        write_bytes(LEADERBOARD, board.to_csv(index=False, float_format="%.6f").encode())
        known = facts(metrics, stage.METRICS.parent)
        write_bytes(PAGE, report.page(board, result, settings.direction, known).encode())
        curves = report.held_out(stage.METRICS.parent, variants)
        write_bytes(HELD_OUT, curves.to_csv(index=False, float_format="%.6g").encode())
        stage.write_json(RESULT, result)
        stage.write_json(SUMMARY, ranking.overview(board, stage.METRICS))
        # Of all that is on the page, what no training's run has: the winner on test images.
        run.metrics(view.scores(metrics[winner]["test"], before="test_"))
        run.metrics({f"checks/{name}": passed for name, passed in result["checks"][winner].items()})
        run.tag(winner=winner)
        run.artifact(LEADERBOARD)
        run.artifact(PAGE)
        tell_places(board)
        told = register(winner, metrics, settings.direction, run)
    print(f"compare: {told}", file=sys.stderr)
    print(ranking.summary(board))


def tell_places(board: pd.DataFrame) -> None:
    """Put into the table of models what only a comparison knows: ties, and how sure the KID is."""
    for row, place in zip(board.to_dict("records"), ranking.places(board), strict=True):
        if key := key_of(row["variant"]):
            interval = f"{row['kid_low']:.3g} to {row['kid_high']:.3g}"
            rank, comma, note = place.partition(",")  # "1, tie" is shown as "1 of 2, tie"
            told = f"{rank} of {len(board)}{comma}{note}"
            tracking.tag_newest(key, place=told, kid_95=interval)


if __name__ == "__main__":
    stage.run(main)

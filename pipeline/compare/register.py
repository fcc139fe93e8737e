"""The winner in MLflow's registry, and whether it becomes the champion there.

It does if by the rule of `ranking` it is better than the champion, measured by the same evaluator
on the same data. No output of the stage tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.compare import ranking
from pipeline.core import registry
from pipeline.core.errors import StageError
from pipeline.core.paths import CHECKPOINTS, METRICS
from pipeline.core.registry import CHAMPION, NAME, Version
from pipeline.core.tracking import StageRun


def register(
    winner: str, metrics: Mapping[str, ranking.Metrics], direction: str, run: StageRun
) -> str:
    """Register the winner of this comparison once; returns a line that says what came of it.

    What hinders it, as a server without a registry, is in that line and stops nothing.

    Args:
        winner: a variant, a key of ``metrics``.
        metrics: of all variants here.
        direction: the one that ranks.
        run: the open run of the stage, which keeps the winner's metrics.
    """
    folder = CHECKPOINTS / winner
    if not registry.digest(folder):
        return f"{winner} is not registered, its weights are not here: dvc checkout {folder}"
    run.artifact(METRICS / f"{winner}.json")
    try:
        before = next((v for v in registry.versions() if CHAMPION in v.aliases), None)
        version, new = registry.register(folder, winner, run.run_id, f"{winner}.json")
        why_not = _why_not(before, version, metrics, winner, direction)
        if not why_not:
            registry.crown(version.number)
    except StageError as error:
        return f"{winner} is not registered: {error}"
    said = f"{winner} is version {version.number} of {NAME}{'' if new else ', as before'}"
    return f"{said}: {why_not or f'the {CHAMPION} now'}"


def _why_not(
    champion: Version | None,
    version: Version,
    metrics: Mapping[str, ranking.Metrics],
    winner: str,
    direction: str,
) -> str:
    """Why the winner does not become the champion; empty where it does."""
    if champion is None:
        return ""
    if champion.number == version.number:
        return f"the {CHAMPION} still"
    known = _metrics(champion, metrics)
    named = f"version {champion.number}"
    take = f"to make it the {CHAMPION}, face2anime champion {version.number}"
    if known is None:
        return f"what was measured of {named}, the {CHAMPION}, is gone; {take}"
    try:
        board = ranking.leaderboard({named: known, winner: metrics[winner]}, direction)
    except StageError:
        return f"{named}, the {CHAMPION}, was measured otherwise; {take}"
    ranks = board.set_index("variant")["rank"]
    if ranks[winner] < ranks[named]:
        return ""
    how = "as good" if ranks[winner] == ranks[named] else "better"
    return f"{named} stays the {CHAMPION}, it is {how}"


def _metrics(champion: Version, metrics: Mapping[str, ranking.Metrics]) -> Any:
    """The champion's newest: of this comparison where it takes part, else those it came with."""
    for variant, known in metrics.items():
        if registry.digest(CHECKPOINTS / variant) == champion.digest:
            return known
    return registry.metrics_of(champion)

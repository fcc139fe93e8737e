"""The winner in the registry: once a model, the better one as champion, and nothing hindered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.compare.register import register
from pipeline.core import registry, tracking
from pipeline.core.errors import StageError
from pipeline.core.paths import CHECKPOINTS, METRICS
from tests.pipeline.compare.made_up import DIRECTION, metrics
from tests.pipeline.use.pictures import write_model


def compared(**variants: dict) -> str:
    """What is told of a comparison that the first of ``variants`` wins."""
    METRICS.mkdir(parents=True, exist_ok=True)
    for name, values in variants.items():
        (METRICS / f"{name}.json").write_text(json.dumps(values))
    with tracking.stage_run("compare", {}) as run:
        return register(next(iter(variants)), variants, DIRECTION, run)


def aliases() -> dict[str, str]:
    """Alias → version and variant."""
    return {
        alias: f"{version.number} {version.variant}"
        for version in registry.versions()
        for alias in version.aliases
    }


def test_who_becomes_the_champion(project: Path) -> None:
    for seed, name in enumerate(("first", "worse", "better")):
        write_model(CHECKPOINTS / name, seed=seed)
    assert compared(first=metrics(1.0)) == "first is version 1 of face2anime: the champion now"
    # The same again is the same version, with its newest metrics.
    again = compared(first=metrics(1.1))
    assert again == "first is version 1 of face2anime, as before: the champion still"
    (version,) = registry.versions()
    assert registry.metrics_of(version) == metrics(1.1)
    told = compared(worse=metrics(2.0))
    assert told == "worse is version 2 of face2anime: version 1 stays the champion, it is better"
    assert aliases() == {"champion": "1 first"}
    told = compared(worse=metrics(1.12))
    assert told.endswith("as before: version 1 stays the champion, it is as good")
    # Not measured by the same evaluator, or on other data: never compared.
    for other in ({"evaluator": "lite2:abc"}, {"data": "4567"}):
        told = compared(worse=metrics(0.1, **other))
        assert told.endswith(
            "version 1, the champion, was measured otherwise; "
            "to make it the champion, face2anime champion 2"
        )
    # But where the champion takes part, it was measured anew.
    both = {"worse": metrics(2.0, data="4567"), "first": metrics(1.0, data="4567")}
    assert compared(**both).endswith("version 1 stays the champion, it is better")
    assert aliases() == {"champion": "1 first"}
    assert compared(better=metrics(0.5)) == "better is version 3 of face2anime: the champion now"
    assert aliases() == {"champion": "3 better", "previous": "1 first"}
    by_hand = CliRunner().invoke(cli.app, ["champion", "2"])
    assert aliases() == {"champion": "2 worse", "previous": "3 better"}
    assert by_hand.stdout == "  3 better previous\n  2 worse champion\n  1 first\n"
    with pytest.raises(StageError, match="no version 9: `face2anime champion` lists them"):
        registry.crown("9")


def test_without_weights_nothing_is_registered(project: Path) -> None:
    told = compared(first=metrics(1.0))
    assert told == (
        "first is not registered, its weights are not here: dvc checkout checkpoints/first"
    )
    assert registry.versions() == []
    listed = CliRunner().invoke(cli.app, ["champion"])
    assert listed.stdout.startswith("none is registered: dvc repro")


def test_a_server_without_a_registry_stops_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(CHECKPOINTS / "first")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "nosuch://registry")
    told = compared(first=metrics(1.0))
    assert told.startswith("first is not registered: ") and "\n" not in told

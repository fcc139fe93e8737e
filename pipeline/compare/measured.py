"""What other stages measured, held to what is read of it here: one line where a file is broken."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from pipeline.core import json_files
from pipeline.core.errors import StageError

TEXTS = ["variant", "evaluator", "data"]  # columns of a leaderboard that are no numbers


class _Estimate(json_files.Part):
    value: float


class _Interval(_Estimate):
    low: float
    high: float


class _Measure(json_files.Part):
    """What a variant got, and beside it what controls got."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Estimate]
    translated: _Interval


class _Counted(_Interval):
    n_fake: int
    n_real: int


class _Kid(_Measure):
    translated: _Counted


class _Quality(json_files.Part):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Measure]
    kid: _Kid


class _Count(json_files.Part):
    n: int


class _True(json_files.Part):
    """By the demo, which knows what it drew."""

    translated: _Count


class _Direction(json_files.Part):
    quality: _Quality
    agreement: dict[str, dict[str, _Interval]]
    cycle_l1: float
    faces: dict[str, _Measure] = {}
    agreement_with_truth: dict[str, _True] = {}


class _Directions(json_files.Part):
    photos2anime: _Direction
    anime2photos: _Direction


class _Comparable(json_files.Part):
    evaluator: str
    data: str


class Variant(json_files.Part):
    """What `pipeline.evaluate` writes."""

    parameters: int
    comparable: _Comparable
    val: _Directions
    test: _Directions


class _Reading(json_files.Part):
    balanced: float
    chance: float


class _Evaluation(json_files.Part):
    photos: dict[str, _Reading] = {}
    anime: dict[str, _Reading] = {}


class _Recognizer(json_files.Part):
    evaluation: _Evaluation = _Evaluation()


class _Sizes(json_files.Part):
    train: int
    val: int
    test: int


class _Dedupe(json_files.Part):
    dropped: int


class _Card(json_files.Part):
    images: int
    pixels: int
    attributes: dict[str, dict[str, float]]


def variant(folder: Path, name: str) -> dict[str, Any]:
    """The metrics of a variant. Raises StageError when the file is absent or broken."""
    told: dict[str, Any] = json_files.read(
        folder / f"{name}.json", Variant, f"dvc repro evaluate@{name}"
    )
    return told


def stage(folder: Path, name: str) -> dict[str, Any]:
    """What another stage counted; empty where it did not run. Raises StageError when broken."""
    told = json_files.metrics(folder, name)
    if told and name == "recognizer":
        json_files.read(folder / f"{name}.json", _Recognizer, f"dvc repro {name}")
    return told


def sizes(folder: Path) -> tuple[dict[str, dict[str, int]], int]:
    """Of the splits by domain, and how many duplicates were dropped. Raises StageError."""
    split = json_files.read(folder / "split.json", dict[str, _Sizes], "dvc repro split")
    dedupe = json_files.read(folder / "dedupe.json", _Dedupe, "dvc repro dedupe")
    return split, dedupe["dropped"]


def card(path: Path) -> dict[str, Any]:
    """The card.json of a data set. Raises StageError when it is absent or broken."""
    told: dict[str, Any] = json_files.read(path, _Card, "dvc repro split")
    return told


def board(data: bytes, name: str, remedy: str) -> pd.DataFrame:
    """The leaderboard of the bytes of a CSV file called ``name``; see `ranking.leaderboard`.

    Raises StageError, in one line with the remedy, where it is something else.
    """
    try:
        frame = pd.read_csv(io.BytesIO(data))
        frame = frame.astype({"variant": str, "rank": int, "parameters": int, "kid": float})
        if frame.empty or not (frame.drop(columns=TEXTS).map(np.isreal)).all(axis=None):
            raise ValueError("it is no table of numbers")
    except (ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise StageError(f"cannot read {name} ({why}): {remedy}") from None
    return frame

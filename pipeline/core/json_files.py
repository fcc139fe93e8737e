"""JSON and CSV files of stages, each held to what it must be when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from models.errors import ModelError
from models.runtime.files import read_json
from pipeline.core.errors import StageError


class Part(BaseModel):
    """The keys that are read of an object, which may have others."""

    model_config = ConfigDict(extra="allow")


class Found(Part):
    """Of any metrics: what of `exclude` a stage met."""

    exclude_found: list[str] = []


class Numbers(Found):
    """What a stage counts, in sections at any depth, and what of `exclude` it met."""

    __pydantic_extra__: dict[str, float | Numbers]


def read(path: Path, kind: Any, remedy: str) -> Any:
    """What a JSON file says, as plain data.

    Args:
        path: the file.
        kind: what it must hold: a pydantic model, or a type with its parts.
        remedy: what to do where it does not.

    Raises StageError, in one line with the remedy.
    """
    try:
        told = read_json(path, remedy, kind=object)
    except ModelError as error:
        raise StageError(str(error)) from None
    try:
        # As JSON: strict, so that a text is no number, and yet an object is a model.
        TypeAdapter(kind).validate_json(json.dumps(told), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        why = f"{place}: {first['msg']}" if place else first["msg"]
        raise StageError(f"cannot read {path} ({why}): {remedy}") from None
    return told


def metrics(folder: Path, stage: str) -> dict[str, Any]:
    """What a stage counted; empty where there is no file. Raises StageError for a broken one."""
    path = folder / f"{stage}.json"
    if not path.is_file():
        return {}
    told: dict[str, Any] = read(path, Numbers, f"dvc repro {stage}")
    return told

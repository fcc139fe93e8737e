"""Sections of ``params.yaml``: their base, and sections that a settings class defines."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
)

Fraction = Field(ge=0.0, le=1.0)
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator of random numbers takes
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Word = Annotated[str, Field(min_length=1)]  # an empty one would name all that lacks a name
NUMBERS = (int, float, int | None, float | None)
FLAGS = (bool, bool | None)


class Section(BaseModel):
    """A section of ``params.yaml``; immutable, no key beyond those declared, no number without end.

    Pydantic takes ``true`` for 1, ``'8'`` for 8 and ``yes`` for true. A knob does not: who writes
    so may mean another key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_one(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if kind in NUMBERS and isinstance(value, bool | str):
            raise ValueError("Input should be a number")
        if kind in FLAGS and not isinstance(value, bool | None):
            raise ValueError("Input should be true or false")
        return value


def section_of(
    settings: type, *, leave_out: Collection[str] = (), optional: Collection[str] = ()
) -> type[Section]:
    """A section whose keys are the fields of a settings dataclass.

    Bounds and words are those of the fields' metadata, as `models.knobs.knob` and
    `crawl.settings.knob` write it: ``above``, ``least``, ``most``, ``step``, ``choices``, ``help``.

    Args:
        leave_out: fields that are no keys.
        optional: keys that may be absent and then have the field's default. All others have to be
            in the file, so that it tells what was run.
    """
    kinds = get_type_hints(settings)
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        if field.name in leave_out:
            continue
        told, words = field.metadata, field.metadata.get("choices")
        default: Any = field.default if field.name in optional else ...
        bounds = {"gt": "above", "ge": "least", "le": "most", "multiple_of": "step"}
        limits: dict[str, Any] = {name: told.get(bound) for name, bound in bounds.items()}
        key = Field(default, description=told.get("help"), **limits)
        keys[field.name] = (Literal[words] if words else kinds[field.name], key)
    return create_model(settings.__name__, __base__=Section, **keys)

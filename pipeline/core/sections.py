"""Sections of ``params.yaml``: their base, and sections that a settings class defines."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model


class Section(BaseModel):
    """A section of ``params.yaml``; immutable, no key beyond those declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def section_of(
    settings: type, *, leave_out: Collection[str] = (), optional: Collection[str] = ()
) -> type[Section]:
    """A section whose keys are the fields of a settings dataclass.

    Bounds and words are those of the fields' metadata, as `models.knobs.knob` and
    `crawl.settings.knob` write it: ``above``, ``least``, ``most``, ``choices`` and ``help``.

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
        above, least, most = (told.get(bound) for bound in ("above", "least", "most"))
        key = Field(default, gt=above, ge=least, le=most, description=told.get("help"))
        keys[field.name] = (Literal[words] if words else kinds[field.name], key)
    return create_model(settings.__name__, __base__=Section, **keys)

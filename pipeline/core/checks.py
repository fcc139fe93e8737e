"""What is looked at before any stage begins: every section, every variant, and what has to fit.

All of ``params.yaml`` is checked by every stage, so that a mistake in the last section costs no
hour of crawling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from crawl.names import nearest
from models.errors import ModelError
from models.variants import variant_from_dict
from pipeline.core import names
from pipeline.core.errors import StageError
from pipeline.core.sections import Section

VARIANTS = "variants"  # a row each, checked by models.variants


def check(
    content: Mapping[str, Any], sections: Mapping[str, type[Section]], where: str
) -> dict[str, Section]:
    """The sections that are there, as their models.

    Raises StageError, in one line that begins with ``where``, for the first mistake in any of them,
    or in a variant.
    """
    names.refuse_secrets(content, where)
    known = [*sections, VARIANTS]
    for section in content:
        if section not in known:
            raise StageError(f"{where}: unknown section '{section}'{nearest(str(section), known)}")
    read = {
        section: _parse(sections[section], section, rows, where)
        for section, rows in content.items()
        if section != VARIANTS
    }
    _check_variants(content.get(VARIANTS) or {}, where)
    for problem in _misfits(read):
        raise StageError(f"{where}: {problem}")
    return read


def _parse(model: type[Section], section: str, rows: Any, where: str) -> Section:
    """A section as its model. Raises StageError naming file, section, key and the nearest one."""
    try:
        return model.model_validate(rows or {})
    except ValidationError as error:
        raise StageError(f"{where}: {_first_mistake(section, model, error)}") from None


def _check_variants(rows: Any, where: str) -> None:
    if not isinstance(rows, Mapping):
        raise StageError(f"{where}: section '{VARIANTS}' is no list of names with their rows")
    names.check(f"{where}: variant", rows)
    for name, row in rows.items():
        if row is not None and not isinstance(row, Mapping):
            raise StageError(f"{where}: variant '{name}' is no list of keys with values: {row!r}")
        try:
            variant_from_dict(row or {}, name)
        except ModelError as error:
            raise StageError(f"{where}: {error}") from None


def _misfits(read: Mapping[str, Any]) -> Iterator[str]:
    """What single sections allow and all of them together do not."""
    relations: dict[tuple[str, ...], Callable[..., str]] = {
        ("align", "train"): lambda align, train: _sizes("train", align, train),
        ("align", "recognizer"): lambda align, train: _sizes("recognizer", align, train),
    }
    for sections, problem in relations.items():
        if all(section in read for section in sections):
            found = problem(*(read[section] for section in sections))
            if found:
                yield found


def _sizes(section: str, align: Any, user: Any) -> str:
    if align.size % user.image_size == 0:
        return ""
    return (
        f"section '{section}': key 'image_size' is {user.image_size}, but faces are aligned to "
        f"align.size {align.size}: take that, or a half or a quarter of it"
    )


def _first_mistake(section: str, model: type[Section], error: ValidationError) -> str:
    # An unknown key explains a missing one: name it first.
    first = min(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    why = first["msg"].removeprefix("Value error, ")
    why = why[:1].lower() + why[1:]
    if not first["loc"]:
        if first["type"] == "value_error":
            return f"section '{section}': {why}"
        return f"section '{section}' is no list of keys with their values: {_short(first['input'])}"
    *parents, key = [str(part) for part in first["loc"]]
    place = ".".join([section, *parents])
    if first["type"] == "extra_forbidden":
        return f"section '{place}': unknown key '{key}'{nearest(key, list(model.model_fields))}"
    if first["type"] == "missing":
        return f"section '{place}': key '{key}' is missing: copy it from profiles/demo.yaml"
    return f"section '{place}': key '{key}' is {_short(first['input'])}: {why}"


def _short(value: Any, most: int = 80) -> str:
    told = repr(value)
    return told if len(told) <= most else f"{told[:most]}…"

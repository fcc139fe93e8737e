"""A knob: a field of a settings class that says what it is for and which values it takes.

Written once as `knob(…)`, it is checked by `check_knobs`, is an option of a command by
`add_options`, and a key of params.yaml by `pipeline.core.params.section_of`.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from models.errors import ModelError

PRECISIONS = ("auto", "bf16", "fp32")
DIFF_AUGMENTS = ("colour", "translation", "cutout")  # see models/data/augment.py
MOST_PIXELS = 1024  # of a side of a face, in settings and in what a file of weights says
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def knob(
    default: Any,
    help: str = "",
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    step: int | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a dataclass: its default, what it is for, its bounds or the words it may be.

    A value has to be a multiple of `step`.
    """
    bounds = {"above": above, "least": least, "most": most, "step": step}
    told = {"help": help, "choices": choices, **bounds}
    return dataclasses.field(default=default, metadata=told)


def check_knobs(settings: Any, where: str = "") -> None:
    """Raise ModelError for the first knob with a value of another type or out of its bounds.

    Args:
        settings: an instance of a dataclass; fields that are no knobs are not looked at.
        where: what the message begins with, as in "variant xgan: ".
    """
    kinds = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value, told = getattr(settings, field.name), field.metadata
        if told.get("choices"):
            refuse_unknown(field.name, [value], told["choices"], f"{where}unknown")
        elif told:
            check_value(field.name, value, kinds[field.name], told, where)


def check_value(
    name: str, value: Any, kind: type, bounds: Mapping[str, Any], where: str = ""
) -> None:
    """Raise ModelError where `value` is not of `kind` or lies outside `bounds`, as of `knob`."""
    above, least, most, step = (bounds.get(key) for key in ("above", "least", "most", "step"))
    fits = isinstance(value, (int, float) if kind is float else kind)
    if fits and kind in (int, float):
        fits = (
            not isinstance(value, bool)
            and _finite(value)
            and (above is None or value > above)
            and (least is None or value >= least)
            and (most is None or value <= most)
            and (step is None or value % step == 0)
        )
    if not fits:
        low = f"above {above}" if above is not None else f"from {least}"
        span = "" if above is None and least is None else f" {low}"
        span = span if most is None else f"{span} to {most:,}"
        span = span if step is None else f"{span} in steps of {step}"
        raise ModelError(f"{where}`{name}` must be {_KINDS[kind]}{span}, got {value!r}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def refuse_unknown(
    what: str, names: Iterable[Any], valid: Iterable[str], where: str = "unknown"
) -> None:
    """Raise ModelError for the first of `names` not in `valid`, with the nearest valid one."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.0)
            raise ModelError(
                f"{where} {what} {name!r}: did you mean {near[0]!r}? valid: {', '.join(valid)}"
            )


def add_options(parser: argparse.ArgumentParser, settings: type, names: Iterable[str]) -> None:
    """An option for each of the named knobs of a settings class; `given` reads them back."""
    kinds, knobs = get_type_hints(settings), {f.name: f for f in dataclasses.fields(settings)}
    for name in names:
        flag, told, kind = f"--{name.replace('_', '-')}", knobs[name].metadata, kinds[name]
        text = f"{told['help']} (default: {knobs[name].default})".lstrip()
        if kind is bool:
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            how = {"type": kind, "choices": told["choices"] or None}
        parser.add_argument(flag, default=argparse.SUPPRESS, help=text, **how)


def given(args: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The fields of a settings class that the command line has named."""
    names = {field.name for field in dataclasses.fields(settings)}
    return {name: value for name, value in vars(args).items() if name in names}

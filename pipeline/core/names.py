"""Names of variants and sources: they become parts of paths and commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from crawl.names import NAME
from pipeline.core.errors import StageError

STAGES = (
    "demo", "discover", "crawl", "faces", "dedupe", "celeba", "split", "recognizer", "train",
    "evaluate", "compare",
)  # fmt: skip
# What some readers of YAML take for true, false or nothing, in capitals or not.
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"}


def check(what: str, names: Iterable[Any]) -> None:
    """Raise StageError for the first of ``names`` that is none.

    A stage's name would be that of another file of metrics or folder of weights.
    """
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise StageError(
                f"{what} {name!r}: a name is a letter and up to 63 letters, digits, _ or -"
            )
        if name.lower() in WORDS:
            raise StageError(f"{what} {name!r} is no name to some readers of YAML: give it another")
        if name in STAGES:
            raise StageError(f"{what} {name!r} is called as a stage is: give it another name")

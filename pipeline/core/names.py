"""Names of variants and sources: they become parts of paths and commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from crawl.names import NAME
from crawl.secrets import credential_in, redact
from pipeline.core.errors import StageError

STAGES = (
    "demo", "discover", "crawl", "faces", "dedupe", "celeba", "split", "recognizer", "train",
    "evaluate", "compare",
)  # fmt: skip
# What some readers of YAML take for true, false or nothing, in capitals or not.
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"}


def refuse_secrets(content: Any, where: str) -> None:
    """Raise StageError for a URL with credentials, anywhere in plain data: what is in params is
    in dvc.lock, in MLflow and in the commit, too."""
    if isinstance(content, dict):
        for key, value in content.items():
            refuse_secrets(key, where)
            refuse_secrets(value, f"{where}, {key}")
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            refuse_secrets(value, f"{where}, {number}")
    elif isinstance(content, str) and (secret := credential_in(content)):
        raise StageError(
            f"{redact(where)} has {secret}: no credential stands in params, which are shared. "
            "Sites with keys take them from the environment (docs/sources.md)"
        )


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

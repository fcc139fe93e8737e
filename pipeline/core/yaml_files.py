"""YAML as DVC reads and writes it: version 1.2, where ``no`` is a word and ``1e-3`` a number.

DVC rewrites ``params.yaml`` at every ``-S`` and ``exp apply``; a reader of another version would
find other values in it. So this is the only importer of a YAML library.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from pipeline.core.errors import StageError


def loads(text: str, name: str = "the text") -> Any:
    """What ``text`` says, as plain data; an empty mapping when it says nothing.

    Raises StageError, in one line that begins with ``name``, when it is not valid YAML.
    """
    return _parse(YAML(typ="safe"), text, name)


def loads_commented(text: str, name: str = "the text") -> Any:
    """As `loads`, with the comments, so that `dumps` writes them again."""
    return _parse(YAML(), text, name)


def dumps(data: Any) -> str:
    """YAML as DVC dumps it: comments kept, lists one item a line, lines of 80 characters."""
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(data, stream)
    return stream.getvalue()


def read(path: Path) -> Any:
    """What the file says, as plain data. Raises StageError when it is not valid; OSError."""
    return loads(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The file's text. Raises StageError when it is not UTF-8; OSError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StageError(f"{path} is not UTF-8 text: save it as UTF-8") from None


def _parse(yaml: YAML, text: str, name: str) -> Any:
    try:
        return yaml.load(text) or {}
    except (YAMLError, ValueError) as error:  # ValueError: of the 45th of a 13th month
        why = str(error).partition("To suppress this check")[0]
        raise StageError(f"{name} is not valid YAML: {' '.join(why.split())}") from None
    except RecursionError:
        raise StageError(f"{name} is not valid YAML: nested too deeply") from None

"""Profiles: ready sets of knobs. ``demo`` has all of them, the others what differs from it.

``face2anime profile NAME`` writes ``params.yaml``: the demo's lines, with the values of NAME. A key
of a section is replaced whole, be it a list or a mapping (``discover.sources``,
``recognizer.heads``), and so are ``variants``: no row of the demo's is left among those of NAME.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

from crawl.names import nearest
from models.runtime.files import write_bytes
from pipeline.core import params, yaml_files
from pipeline.core.errors import StageError

FOLDER = Path("profiles")
DEMO = "demo"


def names(folder: Path = FOLDER) -> list[str]:
    """The profiles there are, the demo first. Raises StageError where there is none."""
    found = {path.stem for path in folder.glob("*.yaml")}
    if DEMO not in found:
        raise StageError(f"{folder}/{DEMO}.yaml is missing: run this in the project's folder")
    return [DEMO, *sorted(found - {DEMO})]


def about(name: str) -> str:
    """The first line of a profile's comment."""
    return yaml_files.read_text(FOLDER / f"{name}.yaml").partition("\n")[0].lstrip("# ")


def merged(name: str, folder: Path = FOLDER) -> str:
    """The text of ``params.yaml`` by this profile.

    Raises StageError for an unknown profile, and for a section or key of it that the demo lacks.
    """
    if name not in (known := names(folder)):
        raise StageError(f"there is no profile '{name}'{nearest(name, known)}")
    path, demo = folder / f"{name}.yaml", folder / f"{DEMO}.yaml"
    if path == demo:
        return yaml_files.read_text(demo)
    base, changes = _load(demo), _load(path)
    base.ca.comment = changes.ca.comment  # what the profile is, at the top
    for section, values in changes.items():
        if section not in base:
            near = nearest(str(section), list(base))
            raise StageError(f"{path}: unknown section '{section}'{near}")
        _take_comment(base, changes, section)
        if section == params.VARIANTS:
            base[section] = values
            continue
        if not isinstance(values, CommentedMap):
            raise StageError(f"{path}: section '{section}' is no list of keys with their values")
        for key, value in values.items():
            if key not in base[section]:
                near = nearest(str(key), list(base[section]))
                raise StageError(f"{path}: section '{section}': unknown key '{key}'{near}")
            base[section][key] = value
            _take_comment(base[section], values, key)
            _own_comment(base[section], key)
    # Space stands where the demo's values ended: one before a comment, one line before a section.
    text = re.sub(r"(?<=\S) +(?=#|\[\])", " ", re.sub(r"\n+", "\n", yaml_files.dumps(base)))
    return re.sub(r"\n(?=\w)", "\n\n", text)


def use(name: str, path: Path = params.PATH, force: bool = False) -> None:
    """Write the profile to ``path``.

    Raises StageError when that would lose changes: what ``path`` says is neither in the last commit
    nor a profile. ``force`` loses them.
    """
    text = merged(name)
    if path.exists() and not force:
        now = yaml_files.read_text(path)
        if now != _committed(path) and all(now != merged(known) for known in names()):
            raise StageError(
                f"{path} has changes that no commit and no profile has: commit or copy it first, "
                f"or lose them with `face2anime profile {name} --force`"
            )
    write_bytes(path, text.encode())


def _load(path: Path) -> CommentedMap:
    content = yaml_files.loads_commented(yaml_files.read_text(path), str(path))
    if not isinstance(content, CommentedMap):
        raise StageError(f"{path} holds no sections")
    return content


def _take_comment(to: CommentedMap, of: CommentedMap, key: Any) -> None:
    """Give a key the comment that stands behind it in ``of``, if any; the lines below it stay."""
    comment, below = _behind(of, key)[0], _behind(to, key)[1]
    if comment.startswith("#"):
        token = CommentToken(f"{comment}\n{below}", CommentMark(0), None)
        to.ca.items.setdefault(key, [None] * 4)[2] = token


def _own_comment(mapping: CommentedMap, key: Any) -> None:
    """Give an empty list the comment behind its key, as a reader does: a writer that finds none
    there leaves out the end of a later line."""
    value, comments = mapping[key], mapping.ca.items.get(key)
    if isinstance(value, CommentedSeq) and not value and comments:
        value.ca.comment, comments[3] = [comments[2], None], None


def _behind(mapping: CommentedMap, key: Any) -> tuple[str, str]:
    """The comment behind a key or its value, and the lines of comment and space below it."""
    token = (mapping.ca.items.get(key) or [None] * 4)[2]
    first, _, below = token.value.partition("\n") if token else ("", "", "")
    return first, below


def _committed(path: Path) -> str | None:
    """The file as the last commit has it; None without git, a commit or the file in it."""
    command = ["git", "show", f"HEAD:./{path.as_posix()}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return None if shown.returncode else shown.stdout.decode("utf-8", "replace")

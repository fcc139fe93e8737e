"""Where a file of CelebA that is missing may be after all, and what to do with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crawl.archives.reader import PACKED

_PLAIN = ("", ".txt", ".csv", ".zip")
_PARTS = ("Anno", "Eval", "Img")  # folders of a whole copy


def advice(folder: Path, places: Iterable[Path], name: str) -> str:
    """What to do with a file that may be the missing ``name``; empty where there is none.

    Args:
        folder: where CelebA was looked for.
        places: the folders that were looked in.
        name: of the missing file.
    """
    stem = name.partition(".")[0].casefold()
    for place in places:
        files = sorted(place.iterdir()) if place.is_dir() else []
        found = [file for file in files if file.is_file() and _is_of(file.name, stem)]
        if found:
            return f"{found[0]} is there: {_remedy(found[0], name)}"
    for pattern in ("*/", "*/*/"):
        forms = (name, name.replace(".txt", ".csv"))
        found = sorted(file for form in forms for file in folder.glob(pattern + form))
        if found:
            place = found[0].parent
            path = place.parent if place.name in _PARTS else place
            return f"{found[0]} is there: set celeba.path to {path}"
    return ""


def _is_of(name: str, stem: str) -> bool:
    rest = name.casefold().removeprefix(stem)
    return rest != name.casefold() and rest[:1] in ("", ".", " ", "(", "-")


def _remedy(file: Path, name: str) -> str:
    ending = file.suffix.lower()
    if ending in PACKED and not name.endswith(".zip"):
        return "unpack it"
    return f"call it {name}" if ending in _PLAIN else f"save it as {name}"

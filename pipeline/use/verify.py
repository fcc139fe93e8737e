"""``face2anime verify``: whether data, weights and DVC's copies are what was written, to the bit.

Three things tell it: an image's id is the sha256 of its pixels (of its bytes, as a site sent it),
weights and training states carry their own hash, and dvc.lock has the md5 of every output. DVC
itself does not look again at what lies in its cache, or should lie there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.runtime.files import PRETRAINED, read_json
from pipeline.core import json_files, paths, tables, yaml_files
from pipeline.core.errors import StageError

CACHE = Path(".dvc/cache/files/md5")
SAMPLE = 20  # images of a shard that the doctor looks at
BATCH = 256  # images in memory at once
SEEN = Counter[str]  # how much was looked at


class _Listed(json_files.Part):
    """A file in DVC's list of a folder."""

    relpath: str
    md5: str


def images(seen: SEEN, most: int | None = None) -> Iterator[str]:
    """Problems of the tables below data/; with ``most`` of the first images of each alone."""
    for path in sorted(paths.DATA.rglob("*.parquet")):
        try:
            with tables.opened(path) as table:
                if {"id", "image"} <= set(table.schema_arrow.names):
                    yield from _rows(path, table, seen, most)
                else:
                    table.read()
        except StageError as error:
            yield str(error)


def _rows(path: Path, table: Any, seen: SEEN, most: int | None) -> Iterator[str]:
    left = table.metadata.num_rows if most is None else most
    for batch in table.iter_batches(columns=["id", "image"], batch_size=BATCH):
        for row in batch.to_pylist()[:left]:
            seen["images"] += 1
            if not _is(row["id"], (row["image"] or {}).get("bytes") or b""):
                yield (
                    f"{path}: image {row['id']} is not the one of that id: delete the file and run "
                    "`dvc repro`"
                )
        left -= len(batch)
        if left <= 0:
            return


def _is(image_id: str, data: bytes) -> bool:
    """Whether the id is the sha256 of the bytes, or of the pixels in them."""
    from pipeline.imaging.images import pixel_id

    if hashlib.sha256(data).hexdigest() == image_id:
        return True
    with suppress(StageError):
        return pixel_id(tables.decode_bytes(data)) == image_id
    return False


def weights(seen: SEEN) -> Iterator[str]:
    """Problems of trained models, the one that comes along, and of saved training states."""
    from models.runtime.sealed import intact
    from models.runtime.weights import SHA256, damage

    configs = sorted([*paths.CHECKPOINTS.rglob("config.json"), PRETRAINED / "config.json"])
    for config in configs:
        for file in sorted(config.parent.glob("*.safetensors")):
            seen["files of weights"] += 1
            try:
                values = read_json(config)
            except ModelError as error:
                yield str(error)
                continue
            if problem := damage(file.read_bytes(), values):
                yield f"{file} {problem}: delete it and run `dvc repro`"
            elif SHA256 not in values:
                seen["files of weights without a hash"] += 1
    for state in sorted((paths.root() / ".cache/train").glob("*.pt")):
        seen["training states"] += 1
        if not intact(state):
            yield f"{state} is damaged: delete it, its training starts over"


def outputs(seen: SEEN) -> Iterator[str]:
    """Problems of what dvc.lock names: other files than it has, and damaged ones in DVC's cache."""
    recorded = yaml_files.read(paths.LOCK) if paths.LOCK.is_file() else {}
    for stage, entry in (recorded.get("stages") or {}).items():
        for out in entry.get("outs", []):
            try:
                files = list(_files(Path(out["path"]), str(out["md5"])))
            except StageError as error:
                yield str(error)
                continue
            for path, md5 in files:
                seen["outputs"] += 1
                copy = CACHE / md5[:2] / md5[2:]
                if copy.is_file() and _md5(copy) != md5:
                    yield (
                        f"{copy}, DVC's copy of {path}, is damaged: delete it, then {path}, and "
                        f"run `dvc repro {stage}`, or `dvc pull {path}`"
                    )
                if path.is_file() and _md5(path) != md5:
                    yield f"{path} is not what dvc.lock has: `dvc repro {stage}`, or `dvc checkout`"


def uncached() -> Iterator[str]:
    """Outputs that are here and not in DVC's cache: when its disk is full, `dvc repro` says so on
    its way and ends well, and the next `dvc push` has nothing to send."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            lacking = repo.data_status()["not_in_cache"]
    except DvcException:  # no project of DVC's
        return
    for path in map(Path, lacking):
        if path.exists():
            yield (
                f"{path} is not in DVC's cache, whose disk may be full: free some of it, then "
                f"`dvc commit -f {path}`"
            )


def _files(path: Path, md5: str) -> Iterator[tuple[Path, str]]:
    """The files of an output and their md5s; none where DVC's list of a folder is not here."""
    if not md5.endswith(".dir"):
        yield path, md5
        return
    listing = CACHE / md5[:2] / md5[2:]
    if listing.is_file():
        yield from listed(listing, path)


def listed(listing: Path, path: Path) -> Iterator[tuple[Path, str]]:
    """The files of a folder ``path`` and their md5s, by DVC's list. Raises StageError when it is
    broken."""
    remedy = f"delete it, and run `dvc repro`, or `dvc pull {path}`"
    for entry in json_files.read(listing, list[_Listed], remedy):
        yield path / entry["relpath"], entry["md5"]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def verify() -> tuple[list[str], SEEN]:
    """All problems, and how much was looked at."""
    seen: SEEN = Counter()
    return [*images(seen), *weights(seen), *outputs(seen), *uncached()], seen


def sampled() -> Iterator[tuple[str, str, bool, str]]:
    """For the doctor: all weights and the first images of every shard; a finding's fields."""
    seen: SEEN = Counter()
    problems, name = [*images(seen, SAMPLE), *weights(seen)], "data, weights"
    told = ", ".join(f"{count:,} {what}" for what, count in seen.items())
    if problems:
        yield name, problems[0], False, "face2anime verify tells all"
    else:
        yield name, f"{told} are as written", True, ""

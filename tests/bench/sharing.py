"""What sharing a data set with DVC costs: Parquet shards by batch, shards by id, loose files.

The images are made up: `DRAWN` drawn photos of 64×64 with noise, as PNG, each made a file of its
own by a few bytes after its end. ``python -m tests.bench.sharing 100000`` measures with as many.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.core import tables
from pipeline.demo.attributes import sample_faces
from pipeline.demo.photo.picture import draw_photo
from tests.bench.markdown import markdown
from tests.project import environment

IMAGES = 10_000
BATCH = 100  # as in `crawl`
DRAWN = 256
NOISE = 2  # standard deviation, of 255
SPACE = 60_000  # bytes on disk that an image needs at most, with what lies in cache and remote
SCHEMA = pa.schema([("id", pa.string()), ("image", tables.IMAGE), ("batch", pa.int32())])
Write = Callable[[Path, int], None]


@cache
def drawings() -> list[bytes]:
    """The PNG files that all images are made from."""
    found = []
    for number, face in enumerate(sample_faces(DRAWN, 0, "photos")):
        rgb = cv2.resize(draw_photo(face)[0][50:178, 25:153], (64, 64), None, 0, 0, cv2.INTER_AREA)
        noise = np.random.default_rng(number).normal(0, NOISE, rgb.shape)
        found.append(tables.encode_png(np.clip(rgb + noise, 0, 255).astype(np.uint8)))
    return found


def rows(numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Rows of `SCHEMA` for images by their place in the listing; ids look random."""
    for number in numbers:
        data = drawings()[number % DRAWN] + number.to_bytes(8)
        image = {"bytes": data, "path": None}
        yield {"id": id_of(number), "image": image, "batch": number // BATCH}


def id_of(number: int) -> str:
    return hashlib.sha256(number.to_bytes(8)).hexdigest()


def by_batch(folder: Path, count: int) -> None:
    """As the project stores faces: a shard for each batch of the listing."""
    for batch, group in groupby(rows(range(count)), key=lambda row: row["batch"]):
        tables.write_shards(folder, tables.continued(f"anime-booru-{batch:05d}"), group, SCHEMA)


def by_id(folder: Path, count: int) -> None:
    """Shards of 256 MB, sorted by id."""
    images = rows(sorted(range(count), key=id_of))
    tables.write_shards(folder, tables.numbered("anime"), images, SCHEMA)


def loose(folder: Path, count: int) -> None:
    """One file an image."""
    for row in rows(range(count)):
        (folder / f"{row['id']}.png").write_bytes(row["image"]["bytes"])


def size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files under ``folder``."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def measure(project: Path, write: Write, count: int) -> list[str]:
    """Add, push, pull without a cache, then add and push 1 % more; the cells of a row."""

    def seconds(*command: str) -> str:
        os.sync()  # what was written before is not this command's work
        start, environ = time.monotonic(), environment()
        subprocess.run(command, cwd=project, env=environ, check=True, stdout=subprocess.DEVNULL)
        return f"{time.monotonic() - start:.1f}"

    def dvc(*arguments: str) -> str:
        return seconds(sys.executable, "-m", "dvc", *arguments, "-q")

    data, remote = project / "data", project.with_name("remote")
    project.mkdir()
    seconds("git", "init", "-q")
    dvc("init")
    dvc("remote", "add", "--default", "team", str(remote))
    data.mkdir()
    write(data, count)
    files = size(data)[1]
    took = [dvc("add", "data"), dvc("push")]
    pushed, objects = size(remote)
    for folder in (data, project / ".dvc/cache", project / ".dvc/tmp"):
        shutil.rmtree(folder)  # as in a teammate's clone
    took.append(dvc("pull"))
    shutil.rmtree(data)
    data.mkdir()
    write(data, count + count // 100)
    took += [dvc("add", "data"), dvc("push")]
    more, further = size(remote)[0] - pushed, size(remote)[1] - objects
    moved = [f"{pushed / 1e6:,.0f}", f"{more / 1e6:,.1f}", f"{further:,}", f"{more / pushed:.1%}"]
    return [f"{count:,}", f"{files:,}", *took, *moved]


def sharing_table(count: int) -> pd.DataFrame:
    """One row a layout. Bytes are counted in the remote, a folder on the same disk."""
    layouts: list[tuple[str, Write]] = [
        (f"shards by batch of {BATCH}", by_batch),
        ("shards of 256 MB by id", by_id),
        ("loose files", loose),
    ]
    found = []
    for name, write in layouts:
        with tempfile.TemporaryDirectory() as folder:
            found.append([name, *measure(Path(folder) / "project", write, count)])
        print(*found[-1], sep="\t", flush=True)
    columns = ["layout", "images", "files", "`dvc add` s", "`push` s", "`pull` s"]
    columns += ["`add` of 1 % more s", "its `push` s", "MB pushed", "MB for 1 %"]
    columns += ["objects", "share"]
    return pd.DataFrame(found, columns=columns)


def sharing_section(count: int = IMAGES) -> str:
    """The table with what it measures; a sentence instead where the disk is too full."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < SPACE * count:
        return (
            f"Not measured: {free / 1e9:.0f} GB free, {SPACE * count / 1e9:.0f} needed in the "
            "temp folder."
        )
    kilobytes = np.mean([len(data) for data in drawings()]) / 1000
    return f"""PNGs of 64×64, {kilobytes:.0f} KB on average; the remote is a folder on the same
disk, and `pull` begins without a cache. Each command includes DVC's start of about half a second.

{markdown(sharing_table(count))}
"""


if __name__ == "__main__":
    print(sharing_section(*map(int, sys.argv[1:2])))

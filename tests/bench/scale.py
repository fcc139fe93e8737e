"""``python -m tests.bench.scale 1000000 FOLDER``: what a million pictures cost, on a made-up table.

The pictures are smooth, of 32 pixels a side and about 1 KB, so that the disk holds them three times
(table, DVC's cache and remote). One in a hundred is a copy of the first, as a site's placeholder
is. FOLDER must not be there; `--keep` leaves it. Prints a line a step: seconds, peak memory of the
step's process and what it counted. docs/scale.md tells what came out.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import psutil

from models.data.shards import index
from pipeline.core import tables
from pipeline.core.params import Split
from pipeline.duplicates import hashes
from pipeline.imaging.attributes import ATTRIBUTES
from pipeline.split import schema
from pipeline.split.assign import ORIGIN, split_domain
from tests.bench.hashing import face_like_hashes
from tests.project import environment

SIDE = 32
BATCH = 20_000  # pictures of a shard
COPIES = 100  # every so many pictures one is the same
PEOPLE = 20  # pictures of one, as CelebA has them
READ = 20_000  # pictures that the loader decodes
BAND = 100_000  # hashes among which the pixel-judged band is looked for: its time is quadratic
SETTINGS = Split(val=0.1, test=0.1, seed=1, near_bits=40)


def rows(count: int) -> Iterator[dict[str, Any]]:
    """The rows of a table of photos; each picture is a file of its own by its last bytes."""
    unknown = dict.fromkeys(ATTRIBUTES, "unknown")
    rng = np.random.default_rng(0)
    first = tables.encode_jpeg(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), 80)
    for number in range(count):
        if number % COPIES:
            rough = rng.integers(0, 256, (8, 8, 3), np.uint8)
            smooth = cv2.resize(rough, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            drawn = tables.encode_jpeg(smooth, 80)
        else:
            drawn = first
        data = drawn + number.to_bytes(8)
        origin = {"file": f"{number:07d}.jpg", "identity": str(number // PEOPLE)}
        image = {"bytes": data, "path": None}
        key = hashlib.sha256(data).hexdigest()
        yield {"id": key, "image": image, **unknown, **origin, "batch": number // BATCH}


def write_table(folder: Path, count: int) -> dict[str, Any]:
    """Shards of `BATCH` pictures, as the stage writes them."""
    made, done = rows(count), 0
    while part := list(itertools.islice(made, BATCH)):
        write_shard(folder, part)
        done += len(part)
    return {"pictures": done, "MB": size_of(folder / "data") / 1e6}


def write_shard(folder: Path, part: list[dict[str, Any]]) -> None:
    """As the stage ``split`` writes it."""
    frame = schema.conformed(pd.DataFrame(part), "photos", "train")
    tables.write_frame(folder / "data", "photos", frame, by=["batch"], schema=schema.schema())


def share(folder: Path, count: int) -> dict[str, Any]:
    """`dvc add`, `push`, `checkout`; then a shard more, and add and push again."""
    seconds: dict[str, Any] = {}

    def dvc(name: str, *command: str) -> None:
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "dvc", *command, "-q"],
            cwd=folder,
            env=environment(),
            check=True,
        )
        seconds[name] = round(time.monotonic() - start, 1)

    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc("init", "init")
    dvc("remote", "remote", "add", "-d", "store", str(folder / "remote"))
    dvc("add", "add", "data")
    dvc("push", "push")
    shutil.rmtree(folder / "data")
    dvc("checkout", "checkout")
    before = size_of(folder / "remote")
    more = itertools.islice(rows(count + BATCH), count, None)
    write_shard(folder, list(more))
    dvc("add a shard", "add", "data")
    dvc("push a shard", "push")
    sent = size_of(folder / "remote") - before
    return {**seconds, "shards": len(list((folder / "data").iterdir())), "MB sent": sent / 1e6}


def load(folder: Path, _: int) -> dict[str, Any]:
    """What training does: index the shards, decode pictures anywhere in them."""
    start = time.monotonic()
    shards, frame = index(sorted((folder / "data").glob("photos-*.parquet")), SIDE)
    indexed = time.monotonic() - start
    chosen = np.random.default_rng(0).choice(len(frame), min(READ, len(frame))).tolist()
    start = time.monotonic()
    for at in range(0, len(chosen), 64):
        shards.images(chosen[at : at + 64])
    rate = len(chosen) / (time.monotonic() - start)
    return {"pictures": len(frame), "index seconds": indexed, "pictures/s": rate}


def split(folder: Path, _: int) -> dict[str, Any]:
    """Read the table, hash all, look for near-duplicates, assign."""
    table = tables.read_frame(folder / "data", name="photos")[
        ["id", "image", *ATTRIBUTES, *ORIGIN["photos"]]
    ]
    parts = split_domain(table, "photos", SETTINGS, 1)
    return {name: len(part) for name, part in parts.items()}


def search(_: Path, count: int) -> dict[str, Any]:
    """Pairs that the hash alone decides, among face-like hashes and their mirror images."""
    found = hashes.near_pairs(made_up(count), 40)
    return {"hashes": count, "pairs": len(found)}


def band(_: Path, count: int) -> dict[str, Any]:
    """Pairs of which the pixels would decide, among `BAND`: all are compared with all."""
    count = min(count, BAND)
    found = hashes.near_pairs(made_up(count), 64, 104)
    return {"hashes": count, "pairs": len(found), "MB": found.memory_usage().sum() / 1e6}


def made_up(count: int) -> hashes.Signatures:
    """Face-like hashes; their coarse colours share a mean, as those of faces do."""
    words = face_like_hashes(count)
    rng = np.random.default_rng(5)
    bits = np.unpackbits(words.view(np.uint8), axis=1).astype(bool)
    colours = np.empty((count, 2, 3 * hashes.COARSE**2), np.float32)
    mean, factors = rng.standard_normal(192), rng.standard_normal((8, 192))
    for start in range(0, count, 2**16):
        part = colours[start : start + 2**16]
        drawn = rng.standard_normal((len(part), 8)) @ factors * 0.4
        values = mean + drawn + 0.4 * rng.standard_normal((len(part), 192))
        part[:] = (values / np.linalg.norm(values, axis=1, keepdims=True))[:, None]
    both = np.stack([bits, np.roll(bits, 1, axis=0)], axis=1)
    return hashes.Signatures(both, colours, np.arange(count))


def size_of(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "table": write_table,
    "dvc": share,
    "loader": load,
    "split": split,
    "search": search,
    "band": band,
}


def main() -> None:
    """Each step in a process of its own, so that its memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--only", nargs="*", choices=STEPS, default=list(STEPS))
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    if given.step:
        start = time.monotonic()
        told = STEPS[given.step](given.folder.resolve(), given.count)
        peak = peak_rss()
        cost = {
            "seconds": round(time.monotonic() - start, 1),
            "cpu": round(cpu_seconds(), 1),
            "peak MB": round(peak / 1e6),
        }
        print(json.dumps({"step": given.step, **cost, **told}, default=float), flush=True)
        return
    given.folder.mkdir(parents=True)
    try:
        for step in given.only:
            command = [sys.executable, "-m", "tests.bench.scale", str(given.count)]
            subprocess.run([*command, str(given.folder), "--step", step], check=False)
    finally:
        if not given.keep:
            shutil.rmtree(given.folder)


def cpu_seconds() -> float:
    """Of this process and those it has waited for: what a busy machine does not change."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak_rss() -> int:
    """Bytes of RAM that this process held at most; as much as it holds now where no one knows."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()

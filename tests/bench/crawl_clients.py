"""This crawler and its peers, each as the whole command that its users type."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.bench.our_crawl import CONCURRENCY
from tests.project import ROOT

# The peers have an environment of their own: beside this project's pins pip falls back to an old
# img2dataset, which brings an OpenCV that overwrites ours.
PEERS = ["gallery-dl==1.32.18", "img2dataset==1.47.0"]
PEERS_FOLDER = Path(os.environ.get("BENCH_PEERS", ROOT / ".cache/peers"))
# The fastest on two cores of 1-4 processes, 4-256 threads each and 500-5,000 images a shard.
PROCESSES, THREADS = os.cpu_count() or 1, 16


@dataclass(frozen=True)
class Client:
    """How to run one: input is ``posts.parquet`` or ``urls.txt``, output a folder of its own."""

    name: str
    command: Callable[[Path, Path], list[str]]  # (folder of the inputs, output folder)
    images: Callable[[Path], Iterator[bytes]]  # what lies in the output folder
    notes: str


def install_peers() -> None:
    """Make the peers' environment when it is missing."""
    if not (PEERS_FOLDER / "bin/img2dataset").exists():
        print(f"installing {' and '.join(PEERS)} in {PEERS_FOLDER}", flush=True)
        venv.create(PEERS_FOLDER, with_pip=True)
        python = str(PEERS_FOLDER / "bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)


def our_command(inputs: Path, out: Path, rate: float = 1e6) -> list[str]:
    """The crawl of ``posts.parquet`` at ``rate`` requests per second; by default the most that
    can be set, which is no limit here.
    """
    module = [sys.executable, "-m", "tests.bench.our_crawl"]
    return [*module, str(inputs / "posts.parquet"), str(out), str(rate)]


def _gallery_dl_command(inputs: Path, out: Path) -> list[str]:
    program = str(PEERS_FOLDER / "bin/gallery-dl")
    return [program, "--config-ignore", "-q", "-d", str(out), "-i", str(inputs / "urls.txt")]


def _img2dataset_command(inputs: Path, out: Path) -> list[str]:
    urls = inputs / "urls.txt"
    images = urls.read_text(encoding="utf-8").count("\n")
    options = {
        "url_list": urls,
        "input_format": "txt",
        "output_folder": out,
        "output_format": "parquet",
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "compute_hash": None,
        "extract_exif": False,
        "processes_count": PROCESSES,
        "thread_count": THREADS,
        "number_sample_per_shard": -(-images // PROCESSES),  # one shard a process
        "timeout": 30,
        "retries": 4,
    }
    program = str(PEERS_FOLDER / "bin/img2dataset")
    return [program, *(f"--{name}={value}" for name, value in options.items())]


def _parquet_images(folder: Path, shards: str, column: str) -> Iterator[bytes]:
    for shard in sorted(folder.glob(shards)):
        for group in pq.ParquetFile(shard).iter_batches(256, columns=[column]):
            for image in group.column(0).to_pylist():
                yield image["bytes"] if isinstance(image, dict) else image


def _files(folder: Path) -> Iterator[bytes]:
    return (file.read_bytes() for file in folder.rglob("*.jpg"))


OURS = Client(
    "face2anime",
    our_command,
    lambda out: _parquet_images(out / "raw", "raw-*.parquet", "image"),
    "the crawl stage without its tracking, from a table of posts with md5 to Parquet shards, "
    f"{CONCURRENCY} requests at once. Checks the md5, takes the sha256, reads the size, heeds "
    "robots.txt, remembers each image.",
)
CLIENTS = [
    OURS,
    Client(
        "gallery-dl",
        _gallery_dl_command,
        _files,
        "`gallery-dl --config-ignore -q -d DIR -i urls.txt`; its defaults are its fastest. Checks "
        "no md5, remembers nothing.",
    ),
    Client(
        "gallery-dl, archive on",
        lambda inputs, out: [
            *_gallery_dl_command(inputs, out),
            f"--download-archive={out}.sqlite",
        ],
        _files,
        "the same, remembering each image.",
    ),
    Client(
        "img2dataset",
        _img2dataset_command,
        lambda out: _parquet_images(out, "*.parquet", "jpg"),
        f"original bytes to Parquet without hashes, {PROCESSES} processes of {THREADS} threads and "
        "one shard each: its fastest. Checks no md5, remembers finished shards.",
    ),
]

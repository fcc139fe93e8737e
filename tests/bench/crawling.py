"""Crawling against gallery-dl and img2dataset: the same images, the same server, all limits off."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crawl.posts import Post, posts_frame
from pipeline.core import tables
from tests.bench.crawl_clients import CLIENTS, OURS, install_peers, our_command
from tests.bench.image_server import ImageServer, Report, image_server, jpeg
from tests.bench.markdown import markdown
from tests.bench.process_tree import TreeUsage, measure_tree
from tests.project import ROOT, environment

IMAGES = 5000
ROUNDS = 5  # of all clients, so that a slow moment hits them alike
RATE, RATED_IMAGES = 5.0, 300  # requests per second; a minute of them


@dataclass(frozen=True)
class Run:
    """One command: what it cost, and what the server saw of it."""

    images: int
    usage: TreeUsage
    report: Report

    @property
    def whole(self) -> float:
        """Images per second of the whole command."""
        return self.images / self.usage.seconds

    @property
    def requests(self) -> float:
        """Requests per second between the first and the last."""
        return request_rate(self.report.arrivals)

    @property
    def cpu(self) -> float:
        """µs of CPU per image, the server's not counted."""
        return self.usage.cpu_seconds / self.images * 1e6

    @property
    def peak(self) -> float:
        """MiB."""
        return self.usage.peak


def request_rate(arrivals: Sequence[float]) -> float:
    """(n - 1) / (last - first)."""
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def busiest_second(arrivals: Sequence[float]) -> int:
    """Most of the sorted ``arrivals`` within any window of one second, its end left out."""
    return max(bisect_left(arrivals, at + 1.0) - first for first, at in enumerate(arrivals))


def write_inputs(server: ImageServer, folder: Path) -> list[str]:
    """Write ``posts.parquet`` and ``urls.txt``. Returns the md5 of the images, sorted."""
    md5s = [_md5(jpeg(number)) for number in range(len(server.urls))]
    posts = (
        Post(url=url, source="bench", post_id=f"{number:05d}", md5=md5, batch=number // 100)
        for number, (url, md5) in enumerate(zip(server.urls, md5s, strict=True))
    )
    tables.write_file(folder / "posts.parquet", posts_frame(posts))
    (folder / "urls.txt").write_text("".join(f"{url}\n" for url in server.urls), encoding="utf-8")
    return sorted(md5s)


def run(server: ImageServer, command: list[str], folder: Path) -> Run:
    """Run a client; what it leaves in the temporary folder goes to ``folder``."""
    server.report()  # forget what was asked before
    env = environment(TMPDIR=str(folder), NO_ALBUMENTATIONS_UPDATE="1")  # asks the web otherwise
    usage = measure_tree(command, ROOT, env, folder / "log")
    return Run(len(server.urls), usage, server.report())


def compare(server: ImageServer, inputs: Path) -> dict[str, list[Run]]:
    """Every client's runs, in turns. Raises ValueError unless all images came, unaltered."""
    md5s = write_inputs(server, inputs)
    runs: dict[str, list[Run]] = {client.name: [] for client in CLIENTS}
    for _ in range(ROUNDS):
        for client in CLIENTS:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "out"
                done = run(server, client.command(inputs, out), Path(folder))
                if sorted(map(_md5, client.images(out))) != md5s:
                    raise ValueError(f"{client.name} did not bring all images as they are")
            runs[client.name].append(done)
            print(
                f"{client.name}: {done.whole:.0f}/s, {done.requests:.0f}/s between requests, "
                f"{done.cpu:.0f} µs of CPU, {done.peak:.0f} MiB",
                flush=True,
            )
    return runs


def crawl_table(runs: dict[str, list[Run]]) -> pd.DataFrame:
    """A row a client: medians, and the median over the rounds of how much faster ours was."""

    def median(name: str, what: str) -> str:
        return f"{statistics.median(getattr(one, what) for one in runs[name]):.0f}"

    def faster(name: str, what: str) -> str:
        rounds = zip(runs[OURS.name], runs[name], strict=True)
        ratios = [getattr(ours, what) / getattr(theirs, what) for ours, theirs in rounds]
        return f"{statistics.median(ratios):.1f}×"

    columns = [
        ("images/s, whole command", median, "whole"),
        ("ours is", faster, "whole"),
        ("images/s, first to last request", median, "requests"),
        ("ours is", faster, "requests"),
        ("CPU µs/image", median, "cpu"),
        ("peak MiB", median, "peak"),
    ]
    rows = [[name, *(cell(name, what) for _, cell, what in columns)] for name in runs]
    return pd.DataFrame(rows, columns=["client", *(title for title, _, _ in columns)])


def rate_line(server: ImageServer, inputs: Path) -> str:
    """How well the crawler keeps to a rate, as the server sees it."""
    posts = pd.read_parquet(inputs / "posts.parquet").head(RATED_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        tables.write_file(Path(folder) / "posts.parquet", posts)
        command = our_command(Path(folder), Path(folder) / "out", RATE)
        arrivals = run(server, command, Path(folder)).report.arrivals
    return (
        f"Under `rate: {RATE:g}` {len(arrivals)} requests (robots.txt is the first) came at "
        f"{request_rate(arrivals):.3f}/s, {request_rate(arrivals) / RATE - 1:+.1%}, and never more "
        f"than {busiest_second(arrivals)} within one second."
    )


def crawl_section() -> str:
    """What the report says of crawling, less its heading."""
    install_peers()
    with image_server(IMAGES) as server, tempfile.TemporaryDirectory() as folder:
        runs = compare(server, Path(folder))
        rated = rate_line(server, Path(folder))
    everyone = [one.report for of_client in runs.values() for one in of_client]
    server_cpu = statistics.median(one.cpu_seconds / len(one.arrivals) for one in everyone) * 1e6
    notes = "\n".join(f"- {client.name}: {client.notes}" for client in CLIENTS)
    return f"""{IMAGES:,} JPEGs of about 30 KB from a server on loopback, all limits off.
The server takes {server_cpu:.0f} µs of CPU a request.
Medians of {ROUNDS} rounds in turns; "ours is" is the median of the rounds' ratios.
Every image came back byte for byte. The whole command includes start-up; memory is the peak sum
over the process tree, with shared pages counted once.

{markdown(crawl_table(runs))}

{notes}

{rated}
"""


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    print(crawl_section())

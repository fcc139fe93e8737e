"""The demo's made-up hosts, served on loopback while a stage runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.demo.server import serve

HOSTS = ("booru.demo", "gallery.demo")  # URLs that stay the same whatever port is free


@contextmanager
def connections(inputs: Path) -> Iterator[dict[str, tuple[str, int]]]:
    """Host → (address, port) for the demo's hosts, when ``inputs`` holds the demo's gallery.

    Empty for any other folder: those sources are files or real sites.
    """
    if not (inputs / "pages.parquet").is_file():
        yield {}
        return
    with serve(inputs) as address:
        yield dict.fromkeys(HOSTS, address)

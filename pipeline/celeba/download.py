"""Fetch CelebA from its authors' Google Drive, whose files torchvision lists."""

from __future__ import annotations

from pathlib import Path

from crawl.errors import CrawlError
from pipeline.celeba.layout import (
    ATTRIBUTES,
    BOXES,
    HOME,
    IDENTITY,
    IMAGES,
    LANDMARKS,
    PARTITION,
    find,
)
from pipeline.core import downloads
from pipeline.core.errors import StageError

DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
MAX_BYTES = 3_000_000_000
FILES = [f"{IMAGES['aligned']}.zip", ATTRIBUTES, IDENTITY, PARTITION, BOXES, LANDMARKS["aligned"]]


def download(folder: Path) -> None:
    """Put what is missing of CelebA (aligned, 1.4 GB) into ``folder``/celeba.

    Raises StageError that says how to place the files by hand: Google Drive refuses often.
    """
    if all(find(folder, name) for name in FILES[:4]):
        return
    # torch takes seconds to import, in every worker process: not for those who download nothing.
    from torchvision.datasets import CelebA

    try:
        for file_id, md5, name in CelebA.file_list:
            if not find(folder, name):
                path = folder / CelebA.base_folder / name
                downloads.fetch(DRIVE + file_id, path, max_bytes=MAX_BYTES, digest=f"md5:{md5}")
    except CrawlError as error:
        raise StageError(
            f"CelebA did not download ({error}): fetch {', '.join(FILES)} with a browser from "
            f"{HOME}, put them into {folder} and set celeba.download: false"
        ) from None

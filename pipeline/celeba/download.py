"""Fetch CelebA from its authors' Google Drive, which torchvision knows how to ask."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.celeba import layout as celeba_layout
from pipeline.celeba.layout import HOME, IMAGES, LANDMARKS
from pipeline.core.errors import StageError

FILES = [
    f"{IMAGES['aligned']}.zip",
    celeba_layout.ATTRIBUTES,
    celeba_layout.IDENTITY,
    celeba_layout.PARTITION,
    celeba_layout.BOXES,
    LANDMARKS["aligned"],
]


def download(folder: Path) -> None:
    """Put CelebA (aligned, 1.4 GB) into ``folder``/celeba, unless a copy is in ``folder`` already.

    Raises StageError that says how to place the files by hand: Google Drive refuses often.
    """
    if all(celeba_layout.find(folder, name) for name in FILES[:4]):
        return
    # torch takes seconds to import, in every worker process: not for those who download nothing.
    from torchvision.datasets import CelebA

    folder.mkdir(parents=True, exist_ok=True)
    try:
        CelebA(str(folder), split="all", download=True)
    # Quota pages, cut connections, a missing or changed gdown: each raises a class of its own.
    except Exception as error:
        detail = (" ".join(str(error).split()) or type(error).__name__)[:160]
        raise StageError(
            f"CelebA did not download ({detail}): fetch {', '.join(FILES)} with a browser from "
            f"{HOME}, put them into {folder} and set celeba.download: false"
        ) from None
    # The zip holds the same images, and DVC watches one file faster than 202,599.
    shutil.rmtree(folder / CelebA.base_folder / IMAGES["aligned"], ignore_errors=True)

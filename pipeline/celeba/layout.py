"""CelebA as it is published (Liu et al. 2015) or mirrored: its tables, and its images.

Known are the official text files, Kaggle's CSV files of the same names, images in a folder or a
zip, aligned or in the wild. Everything that can be wrong with a copy ends in one line that names
the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crawl.archives.containers import Container, Folder, Zip
from crawl.archives.reader import DAMAGED, image_members, open_archive
from crawl.errors import CrawlError
from crawl.outcomes import FetchError
from pipeline.core.errors import StageError
from pipeline.imaging.attributes import CELEBA as HOME

IMAGES = {"aligned": "img_align_celeba", "wild": "img_celeba"}
LANDMARKS = {"aligned": "list_landmarks_align_celeba.txt", "wild": "list_landmarks_celeba.txt"}
ATTRIBUTES = "list_attr_celeba.txt"
BOXES = "list_bbox_celeba.txt"
IDENTITY = "identity_CelebA.txt"
PARTITION = "list_eval_partition.txt"
# Flat, as torchvision leaves it (celeba/), or as it is downloaded.
SUBFOLDERS = (".", "celeba", "Anno", "Eval", "Img")
MAX_BYTES = 1 << 30  # of one image file

SIZE = (178, 218)  # width and height of the aligned images, which their landmarks refer to
# Mean eye centres of the aligned images (YuNet, 800 of them), for copies without landmarks.
TEMPLATE_EYES = np.array([(69.9, 111.4), (108.8, 111.5)])


@dataclass(frozen=True)
class Images:
    """Where the image files are; small enough to send to worker processes."""

    path: Path  # the zip, or the folder of files
    members: dict[str, str]  # file name → name inside the zip or folder

    def read(self, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(file name, bytes) of each of ``files``; bytes are empty where the zip is damaged."""
        archive = _container(self.path)
        for file in files:
            try:
                data = archive.read(self.members[file], MAX_BYTES)
            except (FetchError, KeyError, *DAMAGED):
                data = b""
            yield file, data


def read_labels(folder: Path) -> pd.DataFrame:
    """One row an image, indexed by file name: 40 bools, ``identity`` and ``partition``.

    Kaggle's copy tells no identities: there each photo is a person of its own, with a negative
    number. Raises StageError for a missing or malformed file.
    """
    if not folder.is_dir():
        raise StageError(
            f"{folder} is missing: put CelebA there ({IMAGES['aligned']}.zip and its list_*.txt "
            f"files, from {HOME}) or change celeba.path"
        )
    labels = _table(folder, ATTRIBUTES)
    if not labels.isin([-1, 0, 1]).all(axis=None):
        raise StageError(
            f"{_find(folder, ATTRIBUTES)}: a label is neither 1 nor -1: fetch it again"
        )
    rows = labels == 1
    if find(folder, IDENTITY) or _find(folder, ATTRIBUTES).suffix == ".txt":
        rows["identity"] = _column(folder, IDENTITY, rows.index)
    else:
        rows["identity"] = -np.arange(1, len(rows) + 1, dtype=np.int32)
    rows["partition"] = _column(folder, PARTITION, rows.index)
    return rows


def read_landmarks(folder: Path, kind: str, files: pd.Index) -> np.ndarray:
    """Five points of each of ``files``: float64 [N, 5, 2] as (x, y), image-left eye first.

    They are the eyes, the nose and the mouth's corners, in pixels of the image (``wild``) or of
    178×218 (``aligned``). Raises StageError for a missing or malformed file.
    """
    points = _table(folder, LANDMARKS[kind])
    path = _find(folder, LANDMARKS[kind])
    _same_files(path, points.index, files)
    if points.shape[1] != 10:
        raise StageError(f"{path}: its columns are not five points: fetch it again")
    return points.loc[files].to_numpy(float).reshape(-1, 5, 2)


def read_centres(folder: Path, files: pd.Index) -> np.ndarray:
    """The middle of each face's box in the wild image, float64 [N, 2]; NaN without a box file."""
    if not find(folder, BOXES):
        return np.full((len(files), 2), np.nan)
    boxes = _table(folder, BOXES)
    _same_files(_find(folder, BOXES), boxes.index, files)
    x, y, width, height = boxes.loc[files].to_numpy(float).T
    return np.stack([x + width / 2, y + height / 2], axis=1)


def find_images(folder: Path, kind: str) -> Images:
    """The unpacked image folder when there is one, otherwise the zip, whatever folders nest in it.

    Raises StageError where there is neither.
    """
    places = [folder / sub / IMAGES[kind] for sub in SUBFOLDERS]
    unpacked = next((place for place in places if place.is_dir()), None)
    path = unpacked or _find(folder, f"{IMAGES[kind]}.zip")
    return Images(path, {name.rsplit("/", 1)[-1]: name for name in list_images(path)})


def list_images(path: Path) -> list[str]:
    """Names of the images in a folder or zip, sorted. Raises StageError when it is neither."""
    try:
        return image_members(_container(path))
    except DAMAGED:
        raise StageError(f"{path} is no whole zip file: get it again") from None


def find(folder: Path, name: str) -> Path | None:
    """The file ``name`` or its CSV form, in ``folder`` or a usual folder below it."""
    for option in dict.fromkeys([name, name.replace(".txt", ".csv")]):
        for path in (folder / sub / option for sub in SUBFOLDERS):
            if path.is_file():
                return path
    return None


def _container(path: Path) -> Container:
    if path.is_dir():
        return Folder(path, links=True)
    try:
        archive = open_archive(path)
    except CrawlError:
        archive = None
    if isinstance(archive, Zip):
        return archive
    raise StageError(f"{path} is neither a folder nor a whole zip file")


def _find(folder: Path, name: str) -> Path:
    if path := find(folder, name):
        return path
    hint = ", or set celeba.eyes: mesh" if name in LANDMARKS.values() else ""
    raise StageError(f"{folder / name} is missing: put it there, from {HOME}{hint}")


def _table(folder: Path, name: str) -> pd.DataFrame:
    """Numbers by file name, from a CSV file with a header, or from a text file whose first line is
    a row count, whose second names columns, and then rows."""
    path, count = _find(folder, name), None
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, index_col=0)
        else:
            with path.open(encoding="utf-8") as lines:
                count = int(next(lines))
            table = pd.read_csv(path, sep=r"\s+", skiprows=1)
            if "image_id" in table.columns:  # heads the file names in the box and wild files
                table = pd.read_csv(path, sep=r"\s+", skiprows=1, index_col="image_id")
        table = table.astype(np.int16)
    except (ValueError, StopIteration, pd.errors.ParserError) as error:
        detail = " ".join(str(error).split())
        form = "its first line is the number of images, its second" * (path.suffix != ".csv")
        raise StageError(
            f"{path} is malformed ({detail}): {form or 'its first line is'} the column names, and "
            "a row holds a file name and numbers"
        ) from None
    if table.index.nlevels != 1 or (count is not None and len(table) != count):
        raise StageError(
            f"{path} is malformed: it announces {count} images, has {len(table)} rows and "
            f"{len(table.columns)} column names"
        )
    return table


def _column(folder: Path, name: str, files: pd.Index) -> pd.Series:
    """A file of ``file number`` lines, or a CSV file of two columns, in the order of ``files``."""
    path = _find(folder, name)
    try:
        if path.suffix == ".csv":
            column = pd.read_csv(path, index_col=0).iloc[:, 0].astype(np.int32)
        else:
            text = pd.read_csv(path, sep=r"\s+", header=None, index_col=0)
            column = text[1].astype(np.int32)
    except (IndexError, KeyError, ValueError, pd.errors.ParserError):
        raise StageError(f"{path} is malformed: a line is a file name and a number") from None
    _same_files(path, column.index, files)
    return column.loc[files]


def _same_files(path: Path, present: pd.Index, files: pd.Index) -> None:
    missing = files.difference(present)
    if len(missing):
        raise StageError(
            f"{path} lacks {len(missing)} of the {len(files)} images that {ATTRIBUTES} lists, "
            f"first {missing[0]}: take both from the same copy of CelebA"
        )

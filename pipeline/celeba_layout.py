"""CelebA as it is published (Liu et al. 2015): its text files, and its images in a folder or zip.

Everything that can be wrong with a copy of it ends in one line that names the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import StageError

HOME = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
LANDMARKS = "list_landmarks_align_celeba.txt"
IDENTITY = "identity_CelebA.txt"
PARTITION = "list_eval_partition.txt"
SUBFOLDERS = (".", "Anno", "Eval", "Img")  # flat as torchvision leaves it, or as it is downloaded

SIZE = (178, 218)  # width and height of the aligned images, which landmarks refer to
# Mean eye centres of the aligned images (YuNet, 800 of them), for copies without landmarks.
TEMPLATE_EYES = np.array([(69.9, 111.4), (108.8, 111.5)])


@dataclass(frozen=True)
class Images:
    """Where the image files are; small enough to send to worker processes."""

    path: Path  # the zip, or the folder of files
    members: dict[str, str]  # file name → name inside the zip or folder

    def read(self, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(file name, bytes) of each of ``files``; bytes are empty where the zip is damaged."""
        if self.path.is_dir():
            yield from ((file, (self.path / self.members[file]).read_bytes()) for file in files)
            return
        with zipfile.ZipFile(self.path) as archive:
            for file in files:
                try:
                    yield file, archive.read(self.members[file])
                except (zipfile.BadZipFile, OSError, EOFError):
                    yield file, b""


def read_rows(folder: Path, with_landmarks: bool) -> pd.DataFrame:
    """One row an image, indexed by file name: 40 bools, ``identity``, ``partition``, ``eyes``.

    ``eyes`` is [2, 2], image-left first, in pixels of the official 178×218 image; CelebA's
    template where landmarks are not asked for. Raises StageError for a missing or malformed file.
    """
    if not folder.is_dir():
        raise StageError(
            f"{folder} is missing: put CelebA there ({IMAGES}.zip and its list_*.txt files, from "
            f"{HOME}) or change celeba.path"
        )
    labels = _table(folder, ATTRIBUTES)
    if not labels.isin([-1, 0, 1]).all(axis=None):
        raise StageError(f"{folder / ATTRIBUTES}: a label is neither 1 nor -1: fetch it again")
    rows = labels == 1
    rows["identity"] = _column(folder, IDENTITY, rows.index)
    rows["partition"] = _column(folder, PARTITION, rows.index)
    if with_landmarks:
        points = _table(folder, LANDMARKS)
        _same_files(folder / LANDMARKS, points.index, rows.index)
        if points.shape[1] < 4:
            raise StageError(f"{folder / LANDMARKS}: no two eyes in its columns: fetch it again")
        eyes = points.loc[rows.index].to_numpy(float)[:, :4].reshape(-1, 2, 2)
    else:
        eyes = np.broadcast_to(TEMPLATE_EYES, (len(rows), 2, 2))
    rows["eyes"] = pd.Series(list(eyes), rows.index, dtype=object)
    return rows


def find_images(folder: Path) -> Images:
    """The unpacked image folder when there is one, otherwise the zip."""
    for place in (folder / sub / IMAGES for sub in SUBFOLDERS):
        if place.is_dir():
            return Images(place, {file.name: file.name for file in place.iterdir()})
    try:
        path = _find(folder, f"{IMAGES}.zip")
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile:
        raise StageError(f"{path} is no whole zip file: download it again") from None
    return Images(path, {name.rsplit("/", 1)[-1]: name for name in names})


def _find(folder: Path, name: str) -> Path:
    for path in (folder / sub / name for sub in SUBFOLDERS):
        if path.is_file():
            return path
    hint = ", or set celeba.eyes: template" if name == LANDMARKS else ""
    raise StageError(f"{folder / name} is missing: put it there, from {HOME}{hint}")


def _table(folder: Path, name: str) -> pd.DataFrame:
    """A file whose first line is a row count, whose second names columns, and then rows."""
    path = _find(folder, name)
    try:
        with path.open(encoding="utf-8") as lines:
            count = int(next(lines))
        table = pd.read_csv(path, sep=r"\s+", skiprows=1)
        table = table.astype(np.int16)
    except (ValueError, StopIteration, pd.errors.ParserError) as error:
        detail = " ".join(str(error).split())
        raise StageError(
            f"{path} is malformed ({detail}): its first line is the number of images, its second "
            "the column names, and a row holds a file name and numbers"
        ) from None
    if table.index.nlevels != 1 or not len(table) == count:
        raise StageError(
            f"{path} is malformed: it announces {count} images, has {len(table)} rows and "
            f"{len(table.columns)} column names"
        )
    return table


def _column(folder: Path, name: str, files: pd.Index) -> pd.Series:
    """A file of ``file number`` lines, in the order of ``files``."""
    path = _find(folder, name)
    try:
        column = pd.read_csv(path, sep=r"\s+", header=None, index_col=0)[1].astype(np.int32)
    except (KeyError, ValueError, pd.errors.ParserError):
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

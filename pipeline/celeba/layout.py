"""CelebA as it is published (Liu et al. 2015) or mirrored: its tables, and its images.

Known are the official text files, Kaggle's CSV files of the same names (see `table`), images in a
folder or a zip, aligned or in the wild. Everything that can be wrong with a copy ends in one line
that names the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crawl.archives.containers import Container, Folder, Zip
from crawl.archives.reader import DAMAGED, Members, members, open_archive
from crawl.errors import CrawlError
from crawl.outcomes import FetchError
from pipeline.celeba import nearby, table
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
MAX_BYTES = 100_000_000  # of one image file
_PARTS = re.compile(r"(?i)\.(7z|rar|tar|tgz|tar\.\w+)$|\.(7z|zip)\.\d+$|\.z\d+$|\.part\d+\.rar$")
LABELS = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs"),
    *("Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair"),
    *("Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair"),
    *("Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings"),
    *("Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
)

SIZE = (178, 218)  # width and height of the aligned images, which their landmarks refer to
# Mean eye centres of the aligned images (YuNet, 800 of them), for copies without landmarks.
TEMPLATE_EYES = np.array([(69.9, 111.4), (108.8, 111.5)])


@dataclass(frozen=True)
class Images:
    """Where the image files are; small enough to send to worker processes."""

    path: Path  # the zip, or the folder of files
    members: dict[str, str]  # file name → name inside the zip or folder
    others: int = 0  # files there that are no pictures

    def read(self, files: Sequence[str]) -> Iterator[tuple[str, bytes, str]]:
        """(file name, bytes, reason) of each of ``files``; where it cannot be had, no bytes and
        the reason.
        """
        archive = _container(self.path)
        for file in files:
            data, reason = b"", ""
            try:
                data = archive.read(self.members[file], MAX_BYTES)
                if len(data) > MAX_BYTES:
                    reason = f"more than {MAX_BYTES:,} bytes"
            except KeyError:
                reason = "it is not there"
            except FetchError:  # too_large
                reason = f"more than {MAX_BYTES:,} bytes"
            except DAMAGED as error:
                reason = " ".join(str(error).split()) or type(error).__name__
            yield file, b"" if reason else data, reason

    def called(self, listed: pd.Index) -> Images:
        """The same, by the names that a table lists: 000001.png may be its 000001.jpg."""
        stems: dict[str, list[str]] = {}
        for name in self.members:
            stems.setdefault(_stem(name), []).append(name)
        exact = {name: self.members[name] for name in listed if name in self.members}
        alike = {
            name: self.members[found[0]]
            for name in listed.difference(pd.Index(list(exact)))
            if len(found := stems.get(_stem(name), [])) == 1 and found[0] not in exact
        }
        used = {*exact.values(), *alike.values()}
        rest = {name: member for name, member in self.members.items() if member not in used}
        return Images(self.path, exact | alike | rest, self.others)


def _stem(name: str) -> str:
    return (name.rpartition(".")[0] or name).casefold()


def read_labels(folder: Path) -> pd.DataFrame:
    """One row an image, indexed by file name: bools of the labels, ``identity``, ``partition``.

    Without a file of identities each photo is a person of its own, with a negative number; without
    one of partitions each is -1. Both decide nothing. Raises StageError for a missing or malformed
    file.
    """
    if not folder.is_dir():
        raise StageError(
            f"{folder} is missing: put CelebA there ({IMAGES['aligned']}.zip and its list_*.txt "
            f"files, from {HOME}) or change celeba.path"
        )
    path = _find(folder, ATTRIBUTES)
    labels = table.read(path)
    _check_labels(path, list(labels.columns))
    odd = labels.columns[~labels.isin([-1, 0, 1]).all()]
    if len(odd):
        raise StageError(
            f"{path}: a label of column '{odd[0]}' is neither 1 nor -1: take out what is no label, "
            "or fetch it again"
        )
    rows = labels == 1
    unknown = -np.arange(1, len(rows) + 1, dtype=np.int32)
    rows["identity"] = _column(folder, IDENTITY, rows.index, unknown)
    rows["partition"] = _column(folder, PARTITION, rows.index, np.int32(-1))
    return rows


def _check_labels(path: Path, labels: list[str]) -> None:
    """Raises StageError for a label that is one of CelebA's, misspelt: it would decide nothing."""
    absent = sorted(set(LABELS).difference(labels))
    for label in labels:
        close = difflib.get_close_matches(label, absent, n=1) if label not in LABELS else []
        if close:
            raise StageError(f"{path}: a column is called '{label}': call it '{close[0]}'")


def read_landmarks(folder: Path, kind: str, files: pd.Index) -> np.ndarray:
    """Five points of each of ``files``: float64 [N, 5, 2] as (x, y), image-left eye first.

    They are the eyes, the nose and the mouth's corners, in pixels of the image (``wild``) or of
    178×218 (``aligned``). Raises StageError for a missing or malformed file.
    """
    path = _find(folder, LANDMARKS[kind])
    points = _of(path, table.read(path), files)
    if points.shape[1] != 10:
        raise StageError(f"{path}: its columns are not five points: fetch it again")
    return points.to_numpy(float).reshape(-1, 5, 2)


def read_centres(folder: Path, files: pd.Index) -> np.ndarray:
    """The middle of each face's box in the wild image, float64 [N, 2]; NaN without a box file."""
    if not find(folder, BOXES):
        return np.full((len(files), 2), np.nan)
    path = _find(folder, BOXES)
    boxes = _of(path, table.read(path), files)
    if boxes.shape[1] != 4:
        raise StageError(f"{path}: its columns are not x, y, width and height: fetch it again")
    x, y, width, height = boxes.to_numpy(float).T
    return np.stack([x + width / 2, y + height / 2], axis=1)


def find_images(folder: Path, kind: str) -> Images:
    """The unpacked image folder when there is one, otherwise the zip, whatever folders nest in it.

    Of pictures with one name in several folders, such as small copies, the outermost has the name.
    Raises StageError where there is neither.
    """
    places = [folder / sub / name for name in _folders(kind) for sub in SUBFOLDERS]
    folders = [place for place in places if place.is_dir()]
    path = next((place for place in folders if any(place.iterdir())), None)
    if path is None and folders and not find(folder, f"{IMAGES[kind]}.zip"):
        path = folders[0]
    if path is None and not (path := find(folder, f"{IMAGES[kind]}.zip")):
        _refuse_parts(folder, kind)
        path = _find(folder, f"{IMAGES[kind]}.zip")
    found = list_images(path)
    if found.others and not found.images:
        raise StageError(
            f"{path} holds no picture, only {found.others[0]}: put the images there, unpacked"
        )
    names: dict[str, str] = {}
    for name in sorted(found.images, key=lambda name: name.count("/")):
        short = name.rsplit("/", 1)[-1]
        names[name if short in names else short] = name
    return Images(path, names, len(found.others))


def _folders(kind: str) -> list[str]:
    return [IMAGES[kind], f"{IMAGES[kind]}_png"] if kind == "aligned" else [IMAGES[kind]]


def _refuse_parts(folder: Path, kind: str) -> None:
    """Raises StageError where the images are there, but packed in a way that is not read."""
    for place in (folder / sub for sub in SUBFOLDERS):
        parts = sorted(place.glob(f"{IMAGES[kind]}*.*")) if place.is_dir() else []
        packed = [part for part in parts if _PARTS.search(part.name)]
        if packed:
            raise StageError(
                f"{packed[0]} is packed in a way that is not read: unpack it "
                f"(`{_unpacking(packed[0].name)}`, with all of its parts beside it) so that "
                f"{folder / IMAGES[kind]} holds the images"
            )


def _unpacking(name: str) -> str:
    tar = re.search(r"(?i)\.(tar|tgz|tar\.\w+)$", name)  # 7z would leave the tar in a .tar.gz
    return f"tar xf {name}" if tar else f"7z x {name}"


def list_images(path: Path) -> Members:
    """What is in a folder or zip. Raises StageError when it is neither, or a damaged one."""
    try:
        return members(_container(path))
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise StageError(f"{path} is no whole zip file ({reason}): get it again") from None


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
    except CrawlError as error:
        raise StageError(str(error)) from None
    if isinstance(archive, Zip):
        return archive
    raise StageError(f"{path} is neither a folder nor a whole zip file")


def _find(folder: Path, name: str) -> Path:
    if path := find(folder, name):
        return path
    if there := nearby.advice(folder, (folder / sub for sub in SUBFOLDERS), name):
        raise StageError(f"{folder / name} is missing, but {there}")
    hint = ", or set celeba.eyes: mesh" if name in LANDMARKS.values() else ""
    raise StageError(f"{folder / name} is missing: put it there, from {HOME}{hint}")


def _column(
    folder: Path, name: str, files: pd.Index, unknown: np.ndarray | np.int32
) -> pd.Series | np.ndarray | np.int32:
    """The numbers of a table of one column, in the order of ``files``; ``unknown`` without it."""
    path = find(folder, name)
    if path is None:
        return unknown
    column = table.read(path, header=False)
    if column.shape[1] != 1:
        raise StageError(f"{path} is malformed: a line is a file name and a number")
    return _of(path, column, files).iloc[:, 0].astype(np.int32)


def _of(path: Path, rows: pd.DataFrame, files: pd.Index) -> pd.DataFrame:
    """The rows of ``files``, in their order; 000001.png of one table is 000001.jpg of another.

    Raises StageError where one is missing.
    """
    if len(files.difference(rows.index)):
        stems = rows.index.map(_stem)
        if stems.is_unique and files.map(_stem).is_unique:
            rows, named = rows.set_axis(stems), files.map(_stem)
            rows = rows[stems.isin(named)].rename(dict(zip(named, files, strict=True)))
    missing = files.difference(rows.index)
    if len(missing):
        raise StageError(
            f"{path} lacks {len(missing)} of the {len(files)} images that {ATTRIBUTES} lists, "
            f"first {missing[0]}: take both from the same copy of CelebA"
        )
    return rows.loc[files]

"""Any folder or zip of pictures in the place of CelebA: only their names are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from crawl.images import EXTENSIONS
from pipeline.celeba.layout import Images, list_images
from pipeline.core.errors import StageError
from pipeline.core.params import Celeba


def check(settings: Celeba) -> None:
    """Raise StageError where ``settings`` ask for what only CelebA has."""
    asked = {
        "keep": settings.keep,
        "drop": settings.drop,
        "male_fraction": settings.male_fraction is not None,
        "download": settings.download,
        f"eyes: {settings.eyes}": settings.eyes in ("landmarks", "template"),
    }
    if wrong := ", ".join(name for name, value in asked.items() if value):
        raise StageError(
            f"celeba.images: folder has no labels and no landmarks, so not celeba.{wrong}: say "
            "keep: {}, drop: {}, male_fraction: null, download: false, and eyes: mesh, none or a "
            "YuNet model"
        )


def further(settings: Celeba) -> Celeba:
    """The settings that take all of ``celeba.also``, whose eyes the mesh finds."""
    own = {"path": settings.path / settings.also, "also": "", "images": "folder", "eyes": "mesh"}
    unasked: dict[str, Any] = {
        "keep": {},
        "drop": {},
        "male_fraction": None,
        "download": False,
        "limit": 0,
    }
    return settings.model_copy(update={**own, **unasked})


def joined(first: pd.DataFrame, also: pd.DataFrame) -> pd.DataFrame:
    """Both sets of photos, sorted by ``id``: a picture of both once, labels of the others null.

    Identities are text, since a folder's are names, and batches go on counting, so that further
    photos leave the shards of the first alone. The partition of the others is -1.
    """
    also = also[~also["id"].isin(first["id"])]
    labels = [name for name in first if name not in also]
    more = also.assign(batch=also["batch"] + first["batch"].max() + 1)
    both = pd.concat([first, more.reindex(columns=first.columns)], ignore_index=True)
    both["partition"] = both["partition"].fillna(-1)
    both = both.astype({"identity": "str", "batch": "int32", "partition": "int32"})
    for name in set(labels) - {"partition"}:
        both[name] = both[name].astype(object).where(both[name].notna(), None)
    return both.sort_values("id", ignore_index=True)


def find_images(path: Path) -> Images:
    """The pictures below a folder or in a zip, named by their place in it.

    Raises StageError where there is none.
    """
    if not path.exists():
        raise StageError(
            f"{path} is missing: put a folder or zip of pictures there, or change celeba.path"
        )
    found = list_images(path)
    if not found.images:
        kinds = ", ".join(sorted(EXTENSIONS))
        raise StageError(f"{path} holds no picture ({kinds}): change celeba.path")
    return Images(path, {name: name for name in found.images}, len(found.others))


def unlabelled(found: Images) -> pd.DataFrame:
    """A row a picture, as `layout.read_labels` gives them; each shows somebody else.

    The identity is the name, and not a number, so that added pictures change nobody's.
    """
    files = list(found.members)
    return pd.DataFrame({"identity": files}, index=pd.Index(files))

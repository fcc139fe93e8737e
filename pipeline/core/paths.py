"""Where data and weights lie, relative to the project's root; dvc.yaml names the same paths."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from pipeline.core.errors import StageError

DATA = Path("data")
DEMO = DATA / "demo"
TRUTH = DEMO / "truth.parquet"  # what every drawn face looks like
DRAWN = "drawn demo"  # what a model says that learned from it
POSTS = Path("data/posts.parquet")
RAW = Path("data/raw")
FACES = Path("data/faces")
ANIME = Path("data/anime")
PHOTOS = Path("data/photos")
DROPPED = Path("data/dropped")  # what the stages left out, and why; tables without images
FAILURES = DROPPED / "posts.parquet"  # posts that gave no image
SPLITS = Path("data/splits")
CHECKPOINTS = Path("checkpoints")
EVALUATOR = CHECKPOINTS / "recognizer/evaluation"  # which nothing is trained to please
CARDS = Path("reports/datasets")
LEADERBOARD = Path("reports/leaderboard.csv")
METRICS = Path("reports/metrics")
SHEETS = Path("reports/sheets")
PLOTS = Path("reports/plots")
LOCK = Path("dvc.lock")
OUTPUTS = ("data", "checkpoints", "reports", ".cache")  # the folders that we may empty


def root() -> Path:
    """The project's root. In ``dvc exp run --temp`` the parent repository, not the copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def check_output(path: Path) -> Path:
    """The project, or copy of it, that ``path`` is an output of.

    Raises StageError when ``path``, links followed, does not lie within a folder of outputs.
    """
    for base in (Path(), root()):
        if any((base / name).resolve() in path.resolve().parents for name in OUTPUTS):
            return base
    raise StageError(f"{path} is left alone: it lies in none of {', '.join(OUTPUTS)}")


def remove_folder(path: Path) -> None:
    """Remove a folder of outputs with all in it, if it is there.

    Raises StageError elsewhere; OSError where something in it may not be removed.
    """
    check_output(path)
    with suppress(FileNotFoundError):
        shutil.rmtree(path)

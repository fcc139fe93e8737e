"""Where data and weights lie, relative to the project's root; dvc.yaml names the same paths."""

import os
import shutil
from pathlib import Path

from pipeline.core.errors import StageError

DEMO = Path("data/demo")
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
OUTPUTS = ("data", "checkpoints", "reports", ".cache")  # the folders that we may empty


def root() -> Path:
    """The project's root. In ``dvc exp run --temp`` the parent repository, not the copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def check_output(path: Path) -> None:
    """Raise StageError when ``path``, links followed, does not lie within a folder of outputs."""
    bases = [(base / name).resolve() for base in (Path(), root()) for name in OUTPUTS]
    if not any(base in path.resolve().parents for base in bases):
        raise StageError(f"{path} is left alone: it lies in none of {', '.join(OUTPUTS)}")


def remove_folder(path: Path) -> None:
    """Remove a folder of outputs with all in it, if it is there. Raises StageError elsewhere."""
    check_output(path)
    shutil.rmtree(path, ignore_errors=True)

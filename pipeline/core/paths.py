"""Where data and weights lie, relative to the project's root; dvc.yaml names the same paths."""

from pathlib import Path

DEMO = Path("data/demo")
TRUTH = DEMO / "truth.parquet"  # what every drawn face looks like
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

"""A copy of the project to run in, and the environment to run it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["crawl", "models", "pipeline", "profiles", ".dvc", "reports"]
FILES = ["dvc.yaml", "params.yaml", "pyproject.toml", "Makefile", ".dvcignore", ".gitignore"]
MADE = [
    "__pycache__",
    "cache",
    "tmp",
    "config.local",
    "datasets",
    "sheets",
    "plots",
    "metrics",
    "*.html",
]


def copy_project(to: Path, *, git: bool) -> Path:
    """The project's source at ``to``, without what a run has made; committed when ``git``."""
    to.mkdir(parents=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns(*MADE))
    for name in FILES:
        shutil.copy(ROOT / name, to / name)
    if git:
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copy"]):
            subprocess.run(["git", *command], cwd=to, env=environment(), check=True)
    return to


def environment(**extra: str) -> dict[str, str]:
    """This interpreter first on PATH, and none of the surrounding project's settings."""
    ours = ("DVC_", "MLFLOW_", "GIT_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "test"), ("EMAIL", "test@example.com"))
    }
    return {**env, **who, "PATH": path, **extra}

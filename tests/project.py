"""A copy of the project to run in, and the environment to run it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 900  # seconds until what never ends fails a test; no test is about how fast it is
FOLDERS = ["crawl", "face2anime", "models", "pipeline", "profiles", ".dvc", "reports"]
FILES = ["dvc.yaml", "params.yaml", "pyproject.toml", "Makefile", ".dvcignore", ".gitignore"]
MADE = {  # by a run, in which folder; not copied
    ".dvc": ["cache", "tmp", "config.local"],
    "reports": ["datasets", "sheets", "plots", "metrics", "*.html"],
}
# Variants whose training is short and asks for nothing that was trained before.
PLAIN = {
    "cyclegan": {
        "architecture": "cyclegan", "channels": 8, "blocks": 2, "norm": "layer",
        "discriminator_channels": 8, "losses": {"adversarial": 1, "cycle": 6, "identity": 2},
    },
}  # fmt: skip
# Settings of the surrounding project and its tools that no test may see.
NOT_OURS = ("DVC_", "MLFLOW_", "GIT_", "TORCH_", "PYTHONHASHSEED", "PYTHONWARNINGS", "COVERAGE_")


def copy_project(to: Path, *, git: bool) -> Path:
    """The project's source at ``to``, without what a run has made; committed when ``git``."""
    to.mkdir(parents=True)
    for name in FOLDERS:
        made = shutil.ignore_patterns("__pycache__", *MADE.get(name, []))
        shutil.copytree(ROOT / name, to / name, ignore=made)
    for name in FILES:
        shutil.copy(ROOT / name, to / name)
    if git:
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copy"]):
            subprocess.run(["git", *command], cwd=to, env=environment(), check=True)
    return to


def environment(**extra: str) -> dict[str, str]:
    """This interpreter first on PATH, and no settings of a surrounding project or of this user."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "test"), ("EMAIL", "test@example.com"))
    }
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    nowhere["DVC_NO_ANALYTICS"] = "1"  # it would report every command, in a process of its own
    nowhere |= {f"DVC_{whose}_CONFIG_DIR": str(ROOT / "nowhere") for whose in ("GLOBAL", "SYSTEM")}
    return {**env, **who, **nowhere, "PATH": path, **extra}

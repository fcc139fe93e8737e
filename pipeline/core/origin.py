"""What a run of MLflow comes from: the commit, DVC's experiment, its inputs, the device."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.core import params, paths, view
from pipeline.core.errors import StageError


def md5s_of(paths: Sequence[Path]) -> dict[str, str]:
    """Path → the md5 that ``dvc.lock`` will have for this dependency of the running stage.

    ``unversioned`` when the stage was not started by DVC, or DVC does not watch the path.
    """
    name = os.environ.get("DVC_STAGE")
    if not name or not paths:
        return {path.as_posix(): "unversioned" for path in paths}
    from dvc.repo import Repo  # a second, which only stages that DVC runs need

    # DVC has just hashed these to decide that the stage must run, and remembers it.
    dependencies = Repo(".").stage.load_one("dvc.yaml", name).deps
    known = {item.def_path: item for item in dependencies}
    return {
        text: known[text].get_hash().value if text in known else "unversioned"
        for text in (path.as_posix() for path in paths)
    }


def device() -> str:
    """What trainings run on here, in words."""
    from models.runtime.device import pick_device  # torch: seconds, and of a training only
    from models.training.run_file import device_name

    return device_name(pick_device(params.load(params.Compute).device))


def experiment() -> str:
    """The name of the DVC experiment that runs, or `view.WORKSPACE` for a plain ``dvc repro``."""
    return os.environ.get("DVC_EXP_NAME") or view.WORKSPACE


def check_kept() -> None:
    """Raise StageError where DVC would lose what the experiment that runs gives.

    From a copy of a shallow clone (``--temp``, ``--queue``) it gets nothing back, and says nothing.
    """
    root = paths.root()
    if "DVC_EXP_NAME" not in os.environ or root == Path().resolve():
        return
    if (git("-C", str(root), "rev-parse", "--is-shallow-repository") or "").strip() == "true":
        raise StageError(
            "this git clone is shallow, and DVC keeps no experiment of --temp or --queue there: "
            "git fetch --unshallow"
        )


def git_commit() -> str:
    """The commit that is checked out; empty without one."""
    return (git("rev-parse", "HEAD") or "").strip()


def commit_in_words() -> str:
    """Short name of the commit, and whether files other than results differ from it."""
    name = git("rev-parse", "--short", "HEAD")
    if not name:
        return ""
    others = ("--", ".", ":!reports", ":!dvc.lock")
    changed = git("status", "--porcelain", "--untracked-files=no", *others)
    return name.strip() + (", with uncommitted changes" if changed else "")


def git(*arguments: str) -> str | None:
    """What git prints; None when it fails or is not installed."""
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None

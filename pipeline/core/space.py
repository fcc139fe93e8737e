"""Whether a stage has room for what it will write, asked before it works for hours."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.core import yaml_files
from pipeline.core.errors import StageError

LEAST = 100_000_000  # bytes that any stage needs: logs, sheets, temporary files
COPIES = 2  # of an output: in its folder, and in DVC's cache


def needed(stage: str, lock: Path) -> int:
    """Bytes to have free for ``stage``: for as much as its last run wrote, by dvc.lock."""
    stages = (yaml_files.read(lock).get("stages") or {}) if lock.is_file() else {}
    outputs: list[dict[str, Any]] = stages.get(stage, {}).get("outs", [])
    return LEAST + COPIES * sum(int(out.get("size", 0)) for out in outputs)


def check(stage: str, lock: Path, folder: Path) -> None:
    """Raise StageError when the disk of ``folder`` has less free than ``stage`` needs."""
    free, wanted = shutil.disk_usage(folder).free, needed(stage, lock)
    if free < wanted:
        raise StageError(
            f"{free / 1e6:.0f} MB are free at {folder}, and {stage} needs {wanted / 1e6:.0f} MB "
            "with DVC's copy: free some of it (`dvc gc --workspace`, or another disk)"
        )

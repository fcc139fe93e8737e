"""Where a command computes: as the section `compute` of params.yaml says, where there is one."""

from __future__ import annotations

import os

from pipeline.core import params
from pipeline.core.params import Compute


def settled() -> Compute:
    """The section; without a project a GPU where there is one, and every core.

    Raises StageError where params.yaml is broken.
    """
    return params.load(Compute) if params.PATH.is_file() else Compute()


def cores(compute: Compute) -> int:
    """Threads that may be busy at once: `compute.threads`, or as many as this process may have."""
    limit = os.environ.get("OMP_NUM_THREADS", "")  # what PyTorch and OpenMP heed
    if compute.threads or limit.isdecimal():
        return compute.threads or max(1, int(limit))
    linux = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1

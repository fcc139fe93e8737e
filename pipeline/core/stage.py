"""What every stage shares: where things are, one-line errors, workers, metric files."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.runtime.files import write_bytes
from pipeline.core import params
from pipeline.core import workers as parallel
from pipeline.core.commands import command_line, mistakes_in_one_line
from pipeline.core.paths import METRICS as METRICS
from pipeline.core.paths import PLOTS as PLOTS
from pipeline.core.paths import SHEETS as SHEETS
from pipeline.core.paths import root as root


def cache_dir(*parts: str) -> Path:
    """A folder for resumable state, outside DVC's outs so that DVC does not delete it."""
    folder = root().joinpath(".cache", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def workers() -> int:
    """How many processes data stages use: ``compute.workers``, or one per core when that is 0."""
    return params.load(params.Compute).workers or os.cpu_count() or 1


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a metrics file in one move; floats are rounded to six digits to keep diffs readable."""
    rounded = json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 6))
    write_bytes(path, (json.dumps(rounded, indent=2, sort_keys=True) + "\n").encode())


def run(main: Callable[..., None]) -> None:
    """Run a stage's ``main`` as a command line; a user's mistake ends in one line and exit 1."""
    app = command_line()
    name = Path(sys.argv[0]).stem.replace("__main__", Path(sys.argv[0]).parent.name)
    with mistakes_in_one_line(name):
        compute = params.load(params.Compute)
        app.command()(_by_name(main) if compute.backend == "dask" else main)
        with parallel.on(compute):
            app()


def _by_name(main: Callable[..., None]) -> Callable[..., None]:
    """``main`` of the importable module: dask's workers, maybe on another machine, then import what
    they run from their own installation. To them ``__main__`` is another program.
    """
    spec = sys.modules["__main__"].__spec__
    if main.__module__ != "__main__" or spec is None:
        return main
    return importlib.import_module(spec.name).main

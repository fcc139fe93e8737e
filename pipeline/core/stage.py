"""What every stage shares: where things are, one-line errors, workers, metric files."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import joblib

from models.runtime.files import write_bytes
from pipeline.core import locks, names, origin, params, paths, space
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
    """How many processes data stages use: ``compute.workers``, at most one a core; 0: one a core.

    More would wait for each other, and hold memory.
    """
    cores = joblib.cpu_count()
    return min(params.load(params.Compute).workers or cores, cores)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a metrics file in one move; floats are rounded to six digits to keep diffs readable."""
    rounded = json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 6))
    write_bytes(path, (json.dumps(rounded, indent=2, sort_keys=True) + "\n").encode())


def run(main: Callable[..., None]) -> None:
    """Run a stage's ``main`` as a command line; whatever goes wrong ends in one line and exit 1."""
    app = command_line()
    name = Path(sys.argv[0]).stem.replace("__main__", Path(sys.argv[0]).parent.name)
    with mistakes_in_one_line(name):
        compute = params.load(params.Compute)
        origin.check_kept()
        app.command()(_by_name(main) if compute.backend == "dask" else main)
        with parallel.on(compute), _alone(name, sys.argv[1:]):
            app()


def _alone(name: str, arguments: list[str]) -> AbstractContextManager[None]:
    """Within it no other process runs the same stage here, and there is room for its outputs."""
    if name not in names.STAGES or "--help" in arguments:
        return nullcontext()
    variant = arguments[arguments.index("--variant") + 1 :][:1] if "--variant" in arguments else []
    called = "@".join([name, *variant])
    space.check(called, paths.LOCK, Path().absolute())
    return locks.held(f"stage {re.sub(r'[^A-Za-z0-9_@-]', '_', called)}", Path())


def _by_name(main: Callable[..., None]) -> Callable[..., None]:
    """``main`` of the importable module: dask's workers, maybe on another machine, then import what
    they run from their own installation. To them ``__main__`` is another program.
    """
    spec = sys.modules["__main__"].__spec__
    if main.__module__ != "__main__" or spec is None:
        return main
    return importlib.import_module(spec.name).main

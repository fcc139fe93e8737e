"""What every stage shares: where things are, one-line errors, workers, metric files."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from crawl.errors import CrawlError
from models.errors import ModelError
from pipeline.core import params
from pipeline.core import workers as parallel
from pipeline.core.errors import StageError

METRICS = Path("reports/metrics")
SHEETS = Path("reports/sheets")
PLOTS = Path("reports/plots")


def root() -> Path:
    """The project's root. In ``dvc exp run --temp`` the parent repository, not the copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


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
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(rounded, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(path)


def run(main: Callable[..., None]) -> None:
    """Run a stage's ``main`` as a command line; a user's mistake ends in one line and exit 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    try:
        compute = params.load(params.Compute)
        app.command()(_by_name(main) if compute.backend == "dask" else main)
        with parallel.on(compute):
            app()
    except (StageError, CrawlError, ModelError) as error:
        stage = Path(sys.argv[0]).stem.replace("__main__", Path(sys.argv[0]).parent.name)
        print(f"{stage}: {error}", file=sys.stderr)
        sys.exit(1)


def _by_name(main: Callable[..., None]) -> Callable[..., None]:
    """``main`` of the importable module: dask's workers, maybe on another machine, then import what
    they run from their own installation. To them ``__main__`` is another program.
    """
    spec = sys.modules["__main__"].__spec__
    if main.__module__ != "__main__" or spec is None:
        return main
    return importlib.import_module(spec.name).main

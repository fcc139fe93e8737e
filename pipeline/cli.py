"""``face2anime``: what one asks of the data by hand; the stages themselves are ``dvc repro``."""

from __future__ import annotations

import sys

import typer

from pipeline import provenance as origin
from pipeline.errors import StageError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Questions to the data of face2anime; run it in the project's folder."""


@app.command()
def provenance(
    image_id: str = typer.Argument(
        help="an id or its first digits, an md5, source/post-id, a URL, a photo's file name"
    ),
) -> None:
    """Where an image comes from: its post or photo, and which tables hold it."""
    lines = list(origin.trace(image_id))
    width = max(len(label) for label, _ in lines)
    for label, value in lines:
        print(f"{label:<{width}}  {value}")


def main() -> None:
    """Run a command; a user's mistake ends in one line and exit 1."""
    try:
        app()
    except StageError as error:
        print(f"face2anime: {error}", file=sys.stderr)
        sys.exit(1)

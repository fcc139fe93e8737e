"""What all command lines share: plain messages, and a user's mistake in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from crawl.errors import CrawlError
from models.errors import ModelError
from pipeline.core.errors import StageError


def command_line(**options: Any) -> typer.Typer:
    """A command line whose errors are plain lines, the last of them the error, in any terminal."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **options
    )


@contextmanager
def mistakes_in_one_line(command: str) -> Iterator[None]:
    """A user's mistake, raised within, ends the process with ``COMMAND: what to do`` and exit 1."""
    try:
        yield
    except (StageError, CrawlError, ModelError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        sys.exit(1)

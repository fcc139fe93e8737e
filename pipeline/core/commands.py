"""What all command lines share: plain messages, and whatever goes wrong in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from crawl.errors import CrawlError
from crawl.secrets import redact
from models import failures
from models.errors import ModelError
from pipeline.core.errors import StageError


def command_line(**options: Any) -> typer.Typer:
    """A command line whose errors are plain lines, the last of them the error, in any terminal."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **options
    )


@contextmanager
def mistakes_in_one_line(command: str) -> Iterator[None]:
    """Whatever is raised within ends the process with ``COMMAND: what to do`` and exit 1.

    The line of what is no mistake of the user names the file that the traceback is in.
    """
    with failures.one_line(command, StageError, CrawlError, ModelError, hide=redact):
        yield

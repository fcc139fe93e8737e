"""Keys that a site gave its user: taken from the environment, sent to that site, shown nowhere."""

from __future__ import annotations

import os

from crawl.errors import CrawlError
from crawl.secrets import remember


def from_environment(source: str, variable: str, secret: bool = True) -> str:
    """The value of the environment variable that the declaration of ``source`` names.

    From then on nothing shows it, unless it is no ``secret``: a login may be an artist's name too.

    Raises CrawlError, without the value, when it is not set or cannot be a key.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CrawlError(
            f"source '{source}': the environment variable {variable} is not set: "
            "export it, or take its name out of the declaration"
        )
    if not (value.isascii() and value.isprintable()):
        raise CrawlError(
            f"source '{source}': the environment variable {variable} holds a character that no "
            "key has: export it again"
        )
    if secret:
        remember(value)
    return value

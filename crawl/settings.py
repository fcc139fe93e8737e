"""Every knob of the crawl in one frozen dataclass."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from crawl.errors import CrawlError

_BOUNDS = {
    "above": (operator.gt, "above"),
    "least": (operator.ge, "at least"),
    "most": (operator.le, "at most"),
}


def knob(section: str, default: Any, **bounds: float) -> Any:
    """A field, the section of ``params.yaml`` that its key stands in, and its bounds.

    Args:
        section: ``web`` or ``crawl``.
        default: the value where the key is absent.
        bounds: ``above``, ``least`` or ``most``.
    """
    return field(default=default, metadata={"section": section, **bounds})


@dataclass(frozen=True, kw_only=True)
class CrawlSettings:
    """How politely, and what is accepted. Raises CrawlError on a value that makes no sense."""

    user_agent_name: str = "face2anime"
    contact: str = knob("web", "")  # e-mail or URL that a site's owner can complain to
    rate: float = knob("web", 2.0, least=1e-3, most=1e6)  # requests per second and host
    concurrency: int = knob("web", 4, above=0, most=64)  # transfers at once per host
    # seconds to connect, and between two reads
    timeout: float = knob("web", 30.0, least=0.01, most=3600)
    deadline: float = knob("web", 300.0, least=0.01, most=86_400)  # seconds for one whole answer
    retries: int = knob("web", 4, least=0, most=20)  # per post, after the first try
    # seconds; a host that asks for a longer wait is left alone
    retry_after_max: float = knob("web", 600.0, least=0, most=86_400)
    # failed posts in a row until a host is left alone
    park_after: int = knob("web", 5, above=0, most=1_000_000)
    allow_private_hosts: tuple[str, ...] = knob("web", ())  # hosts on a private network
    max_bytes: int = knob("crawl", 30_000_000, above=0, most=1_000_000_000)
    # width × height, before any decode
    max_pixels: int = knob("crawl", 60_000_000, above=0, most=1_000_000_000)
    max_failure_fraction: float = knob("crawl", 0.1, least=0, most=1)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            for bound, (holds, words) in _BOUNDS.items():
                limit = item.metadata.get(bound)
                if limit is not None and not holds(value, limit):
                    raise CrawlError(f"{item.name} is {value}: it must be {words} {limit}")
        if not f"{self.user_agent_name}{self.contact}".isprintable():
            raise CrawlError("web.contact holds a control character: write one plain line")

    @property
    def user_agent(self) -> str:
        """``face2anime/0.1.0 (+contact)``: who we are, so that a site's owner can tell us off."""
        try:
            release = version("face2anime")
        except PackageNotFoundError:  # run from a checkout that was never installed
            release = "dev"
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{self.user_agent_name}/{release}{contact}"

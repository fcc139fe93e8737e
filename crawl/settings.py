"""Every knob of the crawl in one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from crawl.errors import CrawlError


@dataclass(frozen=True, kw_only=True)
class CrawlSettings:
    """How politely, and what is accepted. Raises CrawlError on a value that makes no sense."""

    contact: str = ""  # e-mail or URL that a site's owner can complain to
    user_agent_name: str = "face2anime"
    rate: float = 2.0  # requests per second and host; 0: no limit
    concurrency: int = 4  # transfers at once per host
    timeout: float = 30.0  # seconds to connect, and between two reads
    deadline: float = 300.0  # seconds for one whole answer
    retries: int = 4  # per post, after the first try
    retry_after_max: float = 600.0  # seconds; a host that asks for a longer wait is left alone
    park_after: int = 5  # posts of one host that fail in a row until it is left alone
    max_bytes: int = 30_000_000
    max_pixels: int = 60_000_000  # width × height, read from the header before any decode
    max_failure_fraction: float = 0.1
    allow_private_hosts: tuple[str, ...] = ()  # host names that may be on a private network

    def __post_init__(self) -> None:
        for key in ("concurrency", "timeout", "deadline", "park_after", "max_bytes", "max_pixels"):
            if getattr(self, key) <= 0:
                raise CrawlError(f"{key} is {getattr(self, key)}: it must be above 0")
        for key in ("rate", "retries", "retry_after_max", "max_failure_fraction"):
            if getattr(self, key) < 0:
                raise CrawlError(f"{key} is {getattr(self, key)}: it must not be negative")
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

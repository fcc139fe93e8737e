"""How a post can end: every post ends in exactly one of these, and the counts add up."""

from __future__ import annotations

from enum import StrEnum

from crawl.secrets import redact


class Outcome(StrEnum):
    """What became of one post."""

    OK = "ok"
    EXCLUDED = "excluded"  # named in params' exclude
    DUPLICATE_BYTES = "duplicate_bytes"  # the same bytes as an earlier post's
    GONE = "gone"  # HTTP 404 or 410, or no such archive member
    FORBIDDEN_BY_ROBOTS = "forbidden_by_robots"
    FORBIDDEN_ADDRESS = "forbidden_address"  # not http(s), or a private network
    TOO_LARGE = "too_large"  # more bytes or pixels than the settings allow
    NOT_AN_IMAGE = "not_an_image"
    CHECKSUM_MISMATCH = "checksum_mismatch"  # not the md5 that the site stated
    TRUNCATED = "truncated"  # the body ended early, every time
    GAVE_UP = "gave_up"  # it failed, every time
    HOST_PARKED = "host_parked"  # not asked: its host kept failing before


SUCCESS = frozenset({Outcome.OK, Outcome.DUPLICATE_BYTES})


class FetchError(Exception):
    """A post (or page) cannot be had. Carries the outcome to count and a reason to show."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome = outcome
        self.reason = redact(reason)  # it goes into tables, and may repeat a URL
        super().__init__(self.reason)

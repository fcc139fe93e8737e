"""How a post can end: every post ends in exactly one of these, and the counts add up."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


# What differs from one failure of a kind to the next: addresses, hex digests, numbers; an HTTP
# status does not.
_PARTICULAR = re.compile(
    r"""https?://\S+ | \b[0-9a-fA-F]{8,}\b | b?'[^']*' | b?"[^"]*" | (?<!HTTP\ )\b\d[\d,.]*""",
    re.VERBOSE,
)


def kind(reason: str) -> str:
    """What is alike in all reasons of one kind: numbers, addresses and quotations are not."""
    return _PARTICULAR.sub("#", reason)


def grouped(reasons: Iterable[str]) -> list[tuple[int, str]]:
    """How often each `kind` of reason was met, and the first of it; the most frequent first."""
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        kinds.setdefault(kind(reason), []).append(reason)
    return sorted(((len(alike), alike[0]) for alike in kinds.values()), key=lambda item: -item[0])

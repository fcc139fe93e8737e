"""The errors a user of this package can cause or meet.

::

    CrawlError            one clear line: what is wrong and what to do next
    └── SourceError       a source's answer could not be used: names the source and the page
"""

from __future__ import annotations


class CrawlError(Exception):
    """``str()`` is one line that says what is wrong and what to do next."""


class SourceError(CrawlError):
    """A source gave a page that could not be used.

    Args:
        source: name of the declared source.
        page: url or path of the page.
        reason: what is wrong with it.
    """

    def __init__(self, source: str, page: str, reason: str) -> None:
        super().__init__(f"source '{source}', {page}: {reason}")
        self.reason = reason

"""Where posts come from: one short module a family of sites, registered by its ``type``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from crawl.errors import CrawlError
from crawl.posts import Post, posts_frame
from crawl.sources import (  # noqa: F401 - importing them registers them
    archive,
    danbooru,
    gallery,
    gelbooru,
    moebooru,
    zerochan,
)
from crawl.sources.base import nothing, parse_source
from crawl.web.session import Session


def discover(
    sources: list[dict[str, Any]],
    session: Session,
    excluded: Callable[[Post], str] = nothing,
    folder: Path = Path(),
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Asks each declared source for its posts.

    Args:
        sources: declarations, e.g. ``{"name": "booru", "type": "danbooru", "url": …}``.
        session: how the web is asked.
        excluded: the verdict on a post that is not wanted, empty for all others.
        folder: where the files that sources name are looked for first.

    Returns:
        The table of posts (see ``posts_frame``) and, as ``<source>/<verdict>``, how many posts
        were listed or dropped and why. The same answers give the same table.

    Raises CrawlError on a mistake in a declaration, and before anything is asked when there is no
    contact for a public host; SourceError when a page cannot be used.
    """
    declared = [parse_source(declaration).located(folder) for declaration in sources]
    names = Counter(source.name for source in declared)
    for name, times in names.items():
        if times > 1:
            raise CrawlError(f"{times} sources are called '{name}': give each its own name")
    session.require_contact(source.site for source in declared)
    posts: list[Post] = []
    counts: dict[str, int] = {}
    for source in declared:
        listed, verdicts = source.discover(session, excluded)
        posts += listed
        counts |= {f"{source.name}/{verdict}": n for verdict, n in sorted(verdicts.items())}
    return posts_frame(posts), counts

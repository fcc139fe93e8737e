"""Where posts come from: one short module a family of sites, registered by its ``type``."""

from __future__ import annotations

import sys
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
from crawl.sources.base import Source, nothing, parse_source
from crawl.sources.listing import IncompleteError, Listing
from crawl.web.session import Session


def discover(
    sources: list[dict[str, Any]],
    session: Session,
    excluded: Callable[[Post], str] = nothing,
    folder: Path = Path(),
    memory: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Asks each declared source for its posts.

    Args:
        sources: declarations, e.g. ``{"name": "booru", "type": "danbooru", "url": …}``.
        session: how the web is asked.
        excluded: the verdict on a post that is not wanted, empty for all others.
        folder: where the files that sources name are looked for first.
        memory: a folder that remembers what was listed when a source breaks off, or the process is
            killed; the next call goes on from there. None: nothing is remembered.

    Returns:
        The table of posts (see ``posts_frame``) and, as ``<source>/<verdict>``, how many posts
        were listed or dropped and why. The same answers give the same table.

    Raises CrawlError on a mistake in a declaration, and before anything is asked when there is no
    contact for a public host; IncompleteError, with all that was listed, when sources broke off.
    """
    declared = [parse_source(declaration).located(folder) for declaration in sources]
    names = Counter(source.name for source in declared)
    for name, times in names.items():
        if times > 1:
            raise CrawlError(f"{times} sources are called '{name}': give each its own name")
    session.require_contact(source.site for source in declared)
    for source in declared:
        source.ready()
    listings = []
    for source in declared:
        listing = source.discover(session, excluded, None if source.is_local else memory)
        for line in listing.remarks():
            print(f"discover: {line}", file=sys.stderr, flush=True)
        listings.append(listing)
    posts = posts_frame(post for listing in listings for post in listing.posts)
    counts = {
        f"{listing.source}/{verdict}": n
        for listing in listings
        for verdict, n in sorted(listing.verdicts.items())
    }
    _settle(declared, listings, posts, counts, memory)
    return posts, counts


def _settle(
    sources: list[Source],
    listings: list[Listing],
    posts: pd.DataFrame,
    counts: dict[str, int],
    memory: Path | None,
) -> None:
    """Forgets what was remembered, once all is there. Raises IncompleteError when it is not."""
    lacking = []
    for source, listing in zip(sources, listings, strict=True):
        if listing.stopped and source.partial and listing.posts:
            reason = f"{listing.stopped}: what was listed before is taken (partial: true)"
            print(f"discover: {reason}", file=sys.stderr, flush=True)
        elif listing.stopped:
            lacking.append(listing)
    if lacking:
        raise IncompleteError(lacking, posts, counts)
    for source in sources:
        source.forget(memory)


def referrers(sources: list[dict[str, Any]]) -> Callable[[Post], str]:
    """What tells of a post the page of its site that shows it; empty where none is known."""
    known = {source.name: source for source in map(parse_source, sources)}

    def page_of(post: Post) -> str:
        source = known.get(post.source)
        return source.page_of(post) if source else ""

    return page_of

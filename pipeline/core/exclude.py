"""What must not be used: tags nobody wants, and single images that were asked to be taken down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crawl.tags import Wanted

if TYPE_CHECKING:  # pandas takes seconds: every command reads params, and few look at tables
    import pandas as pd

    from crawl.posts import Post

# Columns of any table of the pipeline that may name one of its images.
_NAMES = ["id", "raw_id", "url", "md5", "file"]


class Exclusions:
    """Images and tags that are left out wherever they turn up.

    Args:
        images: each names an image by what any table says of it: its URL, the site's md5, the
            sha256 of its bytes (``id``, ``raw_id``), ``<source>/<post id>``, or the file name of
            a photo.
        tags: images with any of these tags are left out, however a site spells them.
    """

    def __init__(self, images: Iterable[str] = (), tags: Iterable[str] = ()) -> None:
        self._images = frozenset(images)
        self._tags = Wanted(tags)

    def names(self, *names: str) -> bool:
        """Whether one of ``names`` is an excluded image's."""
        return not self._images.isdisjoint(names)

    def verdict(self, post: Post) -> str:
        """Why ``post`` is left out, as ``discover`` counts it; empty when it is not."""
        if self.names(post.url, post.md5, f"{post.source}/{post.post_id}"):
            return "dropped_excluded"
        return "dropped_tags" if self.tagged(post.tags) else ""

    def tagged(self, tags: str) -> bool:
        """Whether ``tags``, separated by spaces, hold an excluded one."""
        return bool(self._tags) and self._tags.among(tags)

    def mask(self, frame: pd.DataFrame) -> pd.Series:
        """True for the rows of ``frame``, any table of the pipeline, that are excluded."""
        import pandas as pd

        excluded = pd.Series(False, index=frame.index)
        if self._images:
            for column in frame.columns.intersection(_NAMES):
                excluded |= frame[column].isin(self._images)
            if {"source", "post_id"} <= set(frame.columns):
                excluded |= (frame["source"] + "/" + frame["post_id"]).isin(self._images)
        if self._tags and "tags" in frame.columns:
            excluded |= frame["tags"].fillna("").map(self.tagged)
        return excluded

"""What must not be used: tags nobody wants, and single images that were asked to be taken down."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crawl.tags import Wanted
from pipeline.core import json_files, yaml_files
from pipeline.core.errors import StageError

if TYPE_CHECKING:  # pandas takes seconds: every command reads params, and few look at tables
    import pandas as pd

    from crawl.posts import Post

FOUND = "exclude_found"  # of a stage's metrics
REPRO = "delete it and run `dvc repro`"
# Columns of any table of the pipeline that may name one of its images.
_NAMES = ["id", "raw_id", "url", "md5", "file"]
_POST = ["source", "post_id"]  # which name one together


class Exclusions:
    """Images and tags that are left out wherever they turn up.

    It remembers which of them named something: somebody asked for a take-down, and a slip of the
    pen must not look like one that was done.

    Args:
        images: each names an image by what any table says of it: its URL, the site's md5, the
            sha256 of its bytes (``id``, ``raw_id``), ``<source>/<post id>``, or the file name of
            a photo.
        tags: images with any of these tags are left out, however a site spells them.
    """

    def __init__(self, images: Iterable[str] = (), tags: Iterable[str] = ()) -> None:
        self._images = frozenset(images)
        self._tags = Wanted(tags)
        self._found: set[str] = set()  # which of them named something

    def names(self, *names: str) -> bool:
        """Whether one of ``names`` is an excluded image's."""
        self._found |= (found := self._images.intersection(names))
        return bool(found)

    def verdict(self, post: Post) -> str:
        """Why ``post`` is left out, as ``discover`` counts it; empty when it is not."""
        if self.names(post.url, post.md5, f"{post.source}/{post.post_id}"):
            return "dropped_excluded"
        return "dropped_tags" if self.tagged(post.tags) else ""

    def tagged(self, tags: str) -> bool:
        """Whether ``tags``, separated by spaces, hold an excluded one."""
        self._found |= (found := self._tags.found(tags))
        return bool(found)

    def told(self) -> dict[str, list[str]]:
        """For a stage's metrics: which images and tags named something here; empty when none did.

        See `check_new`.
        """
        return {FOUND: sorted(self._found)} if self._found else {}

    def look_in(self, folder: Path) -> None:
        """Learn what names something in the tables below ``folder``, as the last run left them.

        Of two names of one image the first takes it out, and no stage sees the second.
        """
        if not self._images and not self._tags:
            return
        import pyarrow.parquet as pq

        for path in sorted(folder.rglob("*.parquet")):
            with suppress(OSError, ValueError):  # being damaged is told by the stage that reads it
                known = set(pq.read_schema(path).names)
                columns = [name for name in (*_NAMES, *_POST, "tags") if name in known]
                self.mask(pq.read_table(path, columns=columns).to_pandas())

    def check_new(self, metrics: Path, lock: Path) -> None:
        """Raise StageError for an image or tag that is new and named nothing in any stage.

        Args:
            metrics: the folder where stages write what `told` gives.
            lock: dvc.lock, which knows those that were there at the last run: a site may have lost
                their images since.
        """
        known = set(self._found)
        for path in sorted(metrics.glob("*.json")):
            known.update(json_files.read(path, json_files.Found, REPRO).get(FOUND, []))
        old = _recorded(lock)
        wrong = [
            f"exclude.{key}: {name}"
            for key, names in (("images", self._images), ("tags", self._tags.named))
            for name in sorted(names - known - set(old.get(key, [])))
        ]
        if wrong:
            raise StageError(
                f"{len(wrong)} in params.yaml name nothing and took nothing down: "
                f"{', '.join(wrong[:5])}{' …' if wrong[5:] else ''}: correct or remove them "
                "(`face2anime provenance` tells the names of an image)"
            )

    def mask(self, frame: pd.DataFrame) -> pd.Series:
        """True for the rows of ``frame``, any table of the pipeline, that are excluded."""
        import pandas as pd

        excluded = pd.Series(False, index=frame.index)
        if self._images:
            names = [frame[column] for column in frame.columns.intersection(_NAMES)]
            if set(_POST) <= set(frame.columns):
                names.append(frame["source"] + "/" + frame["post_id"])
            for column in names:
                named = column.isin(self._images)
                self._found.update(column[named])
                excluded |= named
        if self._tags and "tags" in frame.columns:
            excluded |= frame["tags"].fillna("").map(self.tagged)
        return excluded


def _recorded(lock: Path) -> dict[str, list[str]]:
    """The section ``exclude`` of the last run of the stage that checks."""
    if not lock.is_file():
        return {}
    stage = (yaml_files.read(lock).get("stages") or {}).get("split", {})
    return stage.get("params", {}).get("params.yaml", {}).get("exclude") or {}

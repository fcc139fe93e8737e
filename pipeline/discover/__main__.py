"""``discover``: ask every source for posts and write the table of them, a lock file for the web.

Whoever has ``data/posts.parquet`` downloads exactly the same images. When a source breaks off, the
table holds what all of them listed, the stage ends with an error, and the next run goes on there.
"""

from __future__ import annotations

from crawl.settings import CrawlSettings
from crawl.sources import discover
from crawl.sources.listing import IncompleteError
from crawl.web.session import Session
from pipeline.core import params, stage, tables, tracking
from pipeline.core.errors import StageError
from pipeline.core.paths import DATA, POSTS
from pipeline.demo.site import connections


def main() -> None:
    """List the posts of all sources."""
    settings, web = params.load(params.Discover), params.load(params.Web)
    exclude = params.load(params.Exclude)
    with tracking.stage_run(
        "discover", params.plain(settings, web, exclude), inputs=[settings.inputs]
    ) as run:
        exclude.exclusions().look_in(DATA)
        polite = CrawlSettings(**web.model_dump())
        with connections(settings.inputs) as connect_to, Session(polite, connect_to) as session:
            verdict = exclude.exclusions().verdict
            memory, broke_off = stage.cache_dir("discover"), None
            try:
                posts, counts = discover(
                    settings.sources, session, verdict, settings.inputs, memory
                )
            except IncompleteError as error:
                posts, counts, broke_off = error.posts, error.counts, error
        if posts.empty and broke_off is None:
            raise StageError(
                "no source listed a post: check discover.sources in params.yaml "
                f"(what was dropped: {dict(counts)})"
            )
        tables.write_file(POSTS, posts)
        metrics = {"posts": len(posts), **counts, **exclude.exclusions().told()}
        stage.write_json(stage.METRICS / "discover.json", metrics)
        run.metrics(metrics)
        run.artifact(POSTS)
        if broke_off:
            raise broke_off


if __name__ == "__main__":
    stage.run(main)

"""``crawl``: download the posts and keep their original bytes in Parquet shards, see `raw`.

Every post ends in one counted outcome; ``data/dropped/posts.parquet`` lists all that are not
``ok``. What is complete is remembered outside DVC's outs, so that a killed crawl goes on; so is,
in ``.cache/crawl/failures.csv``, what became of the posts of a crawl that fails.
"""

from __future__ import annotations

from contextlib import closing

from crawl.outcomes import Outcome
from crawl.run import crawl
from crawl.settings import CrawlSettings
from crawl.sources import referrers
from crawl.web.session import Session
from pipeline.core import params, stage, tables, tracking
from pipeline.core.errors import StageError
from pipeline.core.paths import FAILURES, POSTS, RAW
from pipeline.crawl import raw
from pipeline.demo.site import connections


def main() -> None:
    """Download all posts."""
    section, web = params.load(params.Crawl), params.load(params.Web)
    discover, exclude = params.load(params.Discover), params.load(params.Exclude)
    settings = CrawlSettings(**web.model_dump(), **section.model_dump(exclude={"shard_mb"}))
    posts = tables.read_frame(POSTS)
    count, tally, exclusions = len(posts), raw.Tally(), exclude.exclusions()
    state_dir = stage.cache_dir("crawl")
    with tracking.stage_run("crawl", params.plain(section, web, exclude), inputs=[POSTS]) as run:
        posts = raw.drop_excluded(posts, exclusions, tally)
        with (
            tables.new_folder(RAW) as out,
            connections(discover.inputs) as connect_to,
            Session(settings, connect_to) as session,
        ):
            pages = referrers(discover.sources)
            # Closed before its session is, also when the disk is full.
            with (
                closing(crawl(posts, settings, state_dir, session, pages)) as results,
                raw.told(tally, state_dir / "failures.csv"),
            ):
                raw.store(results, out, exclusions, section.shard_mb, tally)
            if not tally.outcomes[Outcome.OK]:
                raise StageError(
                    f"none of {count} posts came back as an image "
                    f"({dict(tally.outcomes)}): check web and crawl in params.yaml"
                )
            tables.write_file(FAILURES, tally.frame())  # last: a crawl that fails changes nothing
        outcomes = {outcome.value: tally.outcomes[outcome.value] for outcome in Outcome}
        metrics = {"posts": count, "outcomes": outcomes, **exclusions.told()}
        stage.write_json(stage.METRICS / "crawl.json", metrics)
        run.metrics(metrics)
        run.artifact(FAILURES)


if __name__ == "__main__":
    stage.run(main)

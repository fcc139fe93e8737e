"""``demo``: draw the embedded data, whose truth is known, in the layouts that real data has."""

from __future__ import annotations

from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import DEMO
from pipeline.demo import build_demo


def main() -> None:
    """Draw the demo's gallery and CelebA folder."""
    settings = params.load(params.Demo)
    with tracking.stage_run("demo", params.plain(settings)) as run:
        with tables.new_folder(DEMO) as out:
            counts = build_demo(
                out,
                faces=settings.faces,
                photos=settings.photos,
                seed=settings.seed,
                workers=stage.workers(),
            )
        run.metrics(counts)


if __name__ == "__main__":
    stage.run(main)

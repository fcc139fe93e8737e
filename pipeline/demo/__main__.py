"""``demo``: draw the embedded data, whose truth is known, in the layouts that real data has."""

from __future__ import annotations

from pipeline import params, stage, tables, tracking
from pipeline.demo import build_demo
from pipeline.paths import DEMO


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

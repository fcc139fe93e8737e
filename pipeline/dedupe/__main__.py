"""Stage ``dedupe``: one face of every set of copies in ``data/faces/`` → ``data/anime/``.

See `deduplicate` for what a copy is. Variants of a drawing are kept, and never parted from their
like by ``split``, or dropped as copies are. In ``data/dropped/``, ``anime.parquet`` says for every
dropped row where it came from and why it went, and ``anime_pairs.parquet`` lists all pairs looked
at.
"""

from __future__ import annotations

from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import ANIME as OUT
from pipeline.core.paths import DROPPED, FACES
from pipeline.dedupe import sheets
from pipeline.dedupe.deduplicate import dedupe

SHEETS = stage.SHEETS / "dedupe"
METRICS = stage.METRICS / "dedupe.json"


def main() -> None:
    """Run the stage."""
    settings, exclude = params.load(params.Dedupe), params.load(params.Exclude)
    with tracking.stage_run("dedupe", params.plain(settings, exclude), inputs=[FACES]) as run:
        faces = tables.read_frame(FACES, name="faces")
        excluded = exclude.exclusions().mask(faces)
        faces = faces[~excluded].reset_index(drop=True)
        result = dedupe(faces, settings, stage.workers())
        with tables.new_folder(OUT) as out:
            tables.write_frame(out, "anime", result.kept, by=["source", "batch"])
        tables.write_file(DROPPED / "anime.parquet", result.dropped)
        ids = {side: faces["id"].to_numpy()[result.pairs[side]] for side in ("first", "second")}
        tables.write_file(DROPPED / "anime_pairs.parquet", result.pairs.assign(**ids))
        sheets.write(SHEETS, faces, result.pairs, settings)
        metrics = {"excluded": int(excluded.sum()), **result.counts}
        metrics |= exclude.exclusions().told()
        stage.write_json(METRICS, metrics)
        run.metrics(metrics)
        run.artifact(SHEETS, "dedupe")


if __name__ == "__main__":
    stage.run(main)

"""Stage ``faces``: the anime faces in ``data/raw/``, aligned on the two eyes → ``data/faces/``.

A picture may hold several faces: each that passes the quality gates is a row. Every picture and
face that is left out is counted by reason; files that cannot be read are listed in
``data/dropped/faces.parquet``. How the raw rows lie in shards changes nothing. With
``faces.detector: none`` no face is looked for: the middle of each picture is a row.
"""

from __future__ import annotations

from pipeline.core import params, stage, tables, tracking
from pipeline.core.paths import DROPPED, RAW
from pipeline.core.paths import FACES as OUT
from pipeline.faces import sheets
from pipeline.faces.detect import check_detector
from pipeline.faces.detectors import check_settings
from pipeline.faces.extract import find_faces, raw_batches

SHEETS = stage.SHEETS / "faces"
METRICS = stage.METRICS / "faces.json"


def main() -> None:
    """Run the stage."""
    settings, align = params.load(params.Faces), params.load(params.Align)
    exclude = params.load(params.Exclude)
    with tracking.stage_run("faces", params.plain(settings, align, exclude), inputs=[RAW]) as run:
        if "none" not in settings.detectors:
            check_detector(settings.detect_size)
        check_settings(settings)
        result = find_faces(raw_batches(RAW), settings, align, exclude, stage.workers())
        with tables.new_folder(OUT) as out:
            tables.write_frame(out, "faces", result.frame, by=["source", "batch"])
        tables.write_file(DROPPED / "faces.parquet", result.unreadable)
        sheets.draw(SHEETS, result, settings, align)
        stage.write_json(METRICS, {**result.counts, **exclude.exclusions().told()})
        run.metrics(result.counts)
        run.artifact(SHEETS, "faces")


if __name__ == "__main__":
    stage.run(main)

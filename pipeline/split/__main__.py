"""Stage ``split``: both domains into train, val and test → ``data/splits/{train,val,test}/``.

See `assign` for what goes where, `schema` for the columns. It also writes a card of each data set,
see `cards`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import params, paths, stage, tables, tracking
from pipeline.core.paths import ANIME, CARDS, DROPPED, PHOTOS
from pipeline.core.paths import SPLITS as OUT
from pipeline.duplicates.rules import kept_relations
from pipeline.figures import charts, sheets
from pipeline.split import cards, schema
from pipeline.split.assign import describe, split_domain

SHEETS = stage.SHEETS / "split"
METRICS = stage.METRICS / "split.json"
PAIRS = DROPPED / "anime_pairs.parquet"
DOMAINS = {"photos": PHOTOS, "anime": ANIME}
# What a shard's rows share, so that growth leaves old shards alone.
SHARD = {"photos": ["batch"], "anime": ["source", "batch"]}


def main() -> None:
    """Run the stage."""
    settings, exclude = params.load(params.Split), params.load(params.Exclude)
    chosen = params.load(params.Celeba)
    tracked = params.plain(settings, exclude)
    with tracking.stage_run("split", tracked, inputs=[ANIME, PHOTOS]) as run:
        metrics: dict[str, Any] = {}
        summaries: dict[str, dict[str, Any]] = {}
        with tables.new_folder(OUT) as out, tables.new_folder(CARDS) as card_folder:
            for domain, folder in DOMAINS.items():
                rows = tables.read_frame(folder, name=domain)
                excluded = exclude.exclusions().mask(rows)
                related = kept_relations(tables.read_frame(PAIRS)) if domain == "anime" else None
                left = rows[~excluded]
                parts = split_domain(left, domain, settings, stage.workers(), related)
                for name, part in parts.items():
                    write(out / name, domain, part)
                counts = describe(parts, len(left), settings, related)
                metrics[domain] = {"excluded": int(excluded.sum()), **counts}
                draw(domain, parts["train"], counts["attributes"])
                summaries[domain] = cards.summarise(domain, parts, rows, chosen)
                cards.draw(card_folder / domain, parts)
            exclude.exclusions().check_new(stage.METRICS, paths.LOCK)
            written = cards.write(card_folder, summaries, stage.METRICS, chosen)
            cards.write_whole(out, card_folder, written)
        stage.write_json(METRICS, metrics)
        run.metrics(metrics)
        run.artifact(SHEETS, "split")
        run.artifact(CARDS, "datasets")


def write(folder: Path, domain: str, part: pd.DataFrame) -> None:
    """Write the shards of one domain and split, the name of ``folder``."""
    rows = schema.conformed(part, domain, folder.name)
    tables.write_frame(folder, domain, rows, by=SHARD[domain], schema=schema.schema())


def draw(domain: str, train: pd.DataFrame, attributes: dict[str, dict[str, float]]) -> None:
    """Write sheets of one domain: its attributes' shares, and a hundred training faces."""
    charts.bars(SHEETS / f"{domain}_attributes.png", attributes, domain)
    faces = [tables.decode(image["bytes"]) for image in train["image"].head(100)]
    sheets.contact_sheet(SHEETS / f"{domain}.png", faces)


if __name__ == "__main__":
    stage.run(main)

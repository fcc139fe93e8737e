"""Stage ``dedupe``: one face of every set of copies in ``data/faces/`` → ``data/anime/``.

In stages, because one threshold either misses crops or takes two faces for one: pairs whose 256-bit
perceptual hashes are close (mirror images too) are duplicates, pairs a little further apart are
compared pixel by pixel after registration, and the rest are different. A copy is dropped only when
it is itself a duplicate of the one that is kept: there are no chains. In ``data/dropped/``,
``anime.parquet`` says for every dropped row where it came from and why it went, and
``anime_pairs.parquet`` lists all pairs looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import hashes, parallel, params, sheets, stage, tables, tracking
from pipeline.params import Dedupe
from pipeline.paths import ANIME as OUT
from pipeline.paths import DROPPED, FACES
from pipeline.registration import correlation
from pipeline.vocabulary import ATTRIBUTES, UNKNOWN, from_tags, known_or_measured

SHEETS = stage.SHEETS / "dedupe"
METRICS = stage.METRICS / "dedupe.json"
SAME, JUDGED_SAME, DIFFERENT = "same", "judged_same", "different"
Image = dict[str, Any]  # {"bytes", "path"}


@dataclass(frozen=True)
class Deduped:
    """The kept rows, the dropped rows, the pairs that were looked at, and counts."""

    kept: pd.DataFrame
    dropped: pd.DataFrame
    pairs: pd.DataFrame  # first, second (row numbers of the input), bits, mirror, correlation, …
    counts: dict[str, Any]


def dedupe(faces: pd.DataFrame, settings: Dedupe, workers: int) -> Deduped:
    """Keep the best of every set of copies.

    Args:
        faces: the rows of the ``faces`` stage.

    Returns kept rows with ``cluster`` (the smallest id among the copies), ``copies`` (how many
    rows it stands for) and the copies' tags merged in; their attributes are read anew from those.
    The best is the largest in its picture, then the sharpest, then the biggest file, then by id.
    """
    faces = faces.reset_index(drop=True)
    signatures = hashes.sign(list(faces["image"]), workers, "dedupe: hash")
    pairs = hashes.near_pairs(signatures, settings.same_bits, settings.judge_bits)
    pairs = _judge(list(faces["image"]), pairs, settings, workers)
    duplicates = pairs[pairs["verdict"] != DIFFERENT]
    keeper = keepers(_quality_order(faces), duplicates[["first", "second"]].to_numpy())
    faces = faces.assign(keeper=keeper)
    own = faces.index == faces["keeper"]
    kept = _merge(faces, faces[own])
    dropped = _explain(faces[~own], faces["id"], duplicates)
    return Deduped(kept, dropped, pairs, _count(faces, kept, dropped, pairs))


def keepers(order: Sequence[int], duplicates: np.ndarray) -> np.ndarray:
    """For each row the row that stands for it: itself, or the best that it is a duplicate of.

    Rows are visited best first; one that nobody stands for yet takes in its free duplicates.

    Args:
        order: all row numbers, best first.
        duplicates: int [P, 2] of row numbers.
    """
    neighbours: dict[int, list[int]] = {}
    for one, other in duplicates.tolist():
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    keeper = np.full(len(order), -1)
    for row in order:
        if keeper[row] < 0:
            free = [other for other in neighbours.get(row, []) if keeper[other] < 0]
            keeper[[row, *free]] = row
    return keeper


def _quality_order(faces: pd.DataFrame) -> list[int]:
    key = faces[["eye_distance", "sharpness", "id"]].assign(
        size=[len(image["bytes"]) for image in faces["image"]]
    )
    best = key.sort_values(
        ["eye_distance", "sharpness", "size", "id"], ascending=[False, False, False, True]
    )
    return best.index.tolist()


def _judge(
    images: Sequence[Image], pairs: pd.DataFrame, settings: Dedupe, workers: int
) -> pd.DataFrame:
    """``pairs`` with ``correlation`` (NaN where the hash decides) and ``verdict``."""
    unsure = pairs.index[pairs["bits"] > settings.same_bits]
    rows = pairs.loc[unsure, ["first", "second", "mirror"]].to_numpy().tolist()
    tasks = [(images[first], images[second], mirror) for first, second, mirror in rows]
    chunks = list(parallel.chunks(tasks, 256))
    results = parallel.over(
        _correlate, chunks, workers=workers, label="dedupe: judge", total=len(chunks)
    )
    values = pd.Series([value for chunk in results for value in chunk], unsure, float)
    pairs["correlation"] = values.reindex(pairs.index)
    judged = np.where(pairs["correlation"] >= settings.same_correlation, JUDGED_SAME, DIFFERENT)
    pairs["verdict"] = np.where(pairs["bits"] <= settings.same_bits, SAME, judged)
    return pairs


def _correlate(tasks: Sequence[tuple[Image, Image, bool]]) -> list[float]:
    values = []
    for one, other, mirror in tasks:
        rgb = tables.decode(other["bytes"])
        turned = np.ascontiguousarray(rgb[:, ::-1]) if mirror else rgb
        values.append(correlation(tables.decode(one["bytes"]), turned))
    return values


def _merge(faces: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """Kept rows with what their copies know; tags of a page with other faces say nothing sure."""
    columns = ["id", "tags", "page_faces", "keeper"]
    groups = faces[columns].groupby("keeper")
    rows = []
    for index, row in kept.drop(columns="keeper").iterrows():
        group = groups.get_group(index)
        alone = group.loc[group["page_faces"] == 1, "tags"]
        known = from_tags(_union(alone)) if len(alone) else dict.fromkeys(ATTRIBUTES, UNKNOWN)
        measured = {name: row[name] for name in ("hair_measured", "eyes_measured")}
        rows.append(
            dict(row)
            | known_or_measured(known, measured)
            | {"tags": _union(group["tags"]), "cluster": group["id"].min(), "copies": len(group)}
        )
    return pd.DataFrame(rows).sort_values("id", ignore_index=True)


def _union(tags: pd.Series) -> str:
    return " ".join(sorted({tag for line in tags.fillna("") for tag in line.split()}))


def _explain(dropped: pd.DataFrame, ids: pd.Series, duplicates: pd.DataFrame) -> pd.DataFrame:
    """Dropped rows without pixels: whose copy each is, and what said so."""
    evidence = {(row.first, row.second): row for row in duplicates.itertuples()}
    rows = []
    for index, row in dropped.drop(columns="image").iterrows():
        pair = evidence[min(index, row["keeper"]), max(index, row["keeper"])]
        rows.append(
            dict(row.drop("keeper"))
            | {"kept_id": ids[row["keeper"]], "bits": pair.bits, "mirror": pair.mirror}
            | {"correlation": pair.correlation, "verdict": pair.verdict}
        )
    extra = ["kept_id", "bits", "mirror", "correlation", "verdict"]
    columns = [*dropped.columns.drop(["image", "keeper"]), *extra]
    kinds = dropped.dtypes.reindex(columns).dropna()  # so that an empty table has them too
    frame = pd.DataFrame(rows, columns=columns).astype(kinds)
    return frame.sort_values(["id", "url"], ignore_index=True)


def _count(
    faces: pd.DataFrame, kept: pd.DataFrame, dropped: pd.DataFrame, pairs: pd.DataFrame
) -> dict[str, Any]:
    verdicts = pairs["verdict"].value_counts()
    source_of = kept.set_index("id")["source"].to_dict()
    elsewhere = dropped["kept_id"].map(source_of) != dropped["source"]
    return {
        "faces": len(faces),
        "kept": len(kept),
        "dropped": len(dropped),
        "dropped_share": len(dropped) / max(len(faces), 1),
        "dropped_mirrored": int(dropped["mirror"].sum()),
        "dropped_across_sources": int(elsewhere.sum()),
        "dropped_judged": int((dropped["verdict"] == JUDGED_SAME).sum()),
        "largest_cluster": int(kept["copies"].max()) if len(kept) else 0,
        "pairs": {name: int(verdicts.get(name, 0)) for name in (SAME, JUDGED_SAME, DIFFERENT)},
        "kept_sources": kept["source"].value_counts().sort_index().to_dict(),
    }


def _draw_sheets(faces: pd.DataFrame, result: Deduped, settings: Dedupe) -> None:
    def face(index: int) -> np.ndarray:
        return tables.decode(faces["image"].iloc[index]["bytes"])

    pairs = result.pairs
    for name, wanted in (
        ("duplicates", pairs[pairs["verdict"] != DIFFERENT]),
        ("different", pairs[pairs["verdict"] == DIFFERENT]),
    ):
        distance = (wanted["correlation"] - settings.same_correlation).abs().fillna(1)
        closest = wanted.assign(distance=distance).sort_values(["distance", "first", "second"])
        cells, captions = [], []
        for row in closest.head(64).to_dict("records"):
            cells += [face(row["first"]), face(row["second"])]
            captions.append(f"{'mirror ' * row['mirror']}{row['bits']} bits")
            judged = pd.notna(row["correlation"])
            captions.append(row["verdict"] + (f"\n{row['correlation']:.2f}" if judged else ""))
        sheets.contact_sheet(SHEETS / f"{name}.png", cells, captions)
    limits = {"bits": settings.same_bits, "correlation": settings.same_correlation}
    values = {name: pairs[name].dropna().to_numpy() for name in limits}
    sheets.histograms(SHEETS / "pairs.png", values, limits)


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
        _draw_sheets(faces, result, settings)
        metrics = {"excluded": int(excluded.sum()), **result.counts}
        stage.write_json(METRICS, metrics)
        run.metrics(metrics)
        run.artifact(SHEETS, "dedupe")


if __name__ == "__main__":
    stage.run(main)

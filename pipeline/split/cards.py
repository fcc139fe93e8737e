"""Cards of both data sets → ``reports/datasets/{photos,anime}/``, written from data alone.

Each is a ``README.md``, the same facts as ``card.json``, the mean face and a sheet of a hundred.
``data/splits/README.md`` has both, with the front matter that Hugging Face reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pipeline.core import json_files, stage, tables, tracking
from pipeline.core.params import Celeba
from pipeline.core.paths import DEMO
from pipeline.figures import sheets
from pipeline.imaging.attributes import ATTRIBUTES, CELEBA, UNKNOWN, values_of
from pipeline.split.card_page import PICTURES, page, whole

CARD = "README.md"
DRAWN = ("mean.png", "sheet.png")
SHOWN, AVERAGED = 100, 20_000  # faces on the sheet, and at most in the mean face
APART, ALMOST_ALL = 0.15, 0.9  # differences and shares that are told as a bias
# Where a picture may be lost: what is left, and the metrics file and key that say so. A key that
# ends in * is all that begin so, in their order.
STEPS = {
    "photos": [
        ("photos listed", "celeba", "listed"),
        ("photos with an image", "celeba", "present"),
        ("", "celeba", "after_*"),
        ("sampled", "celeba", "sampled"),
        ("readable, aligned, not repeated exactly", "celeba", "kept"),
    ],
    "anime": [
        ("posts listed", "discover", "posts"),
        ("pictures downloaded", "crawl", "outcomes.ok"),
        ("pictures with a face", "faces", "with_faces"),
        ("faces found", "faces", "detected"),
        ("faces past the quality gates", "faces", "kept"),
        ("faces without their duplicates", "dedupe", "kept"),
    ],
}
DETECTION = ("with_faces", "detected")  # keys of steps that whole pictures do not go through


def summarise(
    domain: str, parts: Mapping[str, pd.DataFrame], rows: pd.DataFrame, rules: Celeba
) -> dict[str, Any]:
    """The facts of one data set as plain data.

    Args:
        domain: ``photos`` or ``anime``.
        parts: `split_domain`'s result.
        rows: what it was made from, with ``source`` and ``licence`` for ``anime``.
        rules: which photos were asked for, and from where.
    """
    table = pd.concat(parts.values())
    origin = rows[rows["id"].isin(table["id"])]
    if domain == "photos" and rules.images == "folder":
        origin = origin.assign(source=rules.path.as_posix(), licence="")
    elif domain == "photos":
        drawn = rules.path.is_relative_to(DEMO)
        licence = "MIT, drawn by this project" if drawn else f"non-commercial research, {CELEBA}"
        origin = origin.assign(source="the demo" if drawn else "CelebA", licence=licence)
    return {
        **({"whole": True} if _is_whole(domain, rows, rules) else {}),
        "images": len(table),
        "pixels": int(tables.decode(table["image"].iloc[0]["bytes"]).shape[0]),
        "splits": {name: len(part) for name, part in parts.items()},
        "groups": int(table["group"].nunique()),
        "largest_group": int(table["group"].value_counts().iloc[0]),
        "sources": _counts(origin["source"]),
        "licences": _counts(origin["licence"].fillna("").replace("", "not stated")),
        "attributes": {name: _shares(table[name]) for name in ATTRIBUTES},
        "unknown": {name: float((table[name] == UNKNOWN).mean()) for name in ATTRIBUTES},
    }


def _is_whole(domain: str, rows: pd.DataFrame, rules: Celeba) -> bool:
    """Whether no face was looked for: every picture was taken as it stands."""
    if domain == "photos":
        return rules.eyes == "none"
    return "left_x" in rows and bool(rows["left_x"].isna().all())


def draw(folder: Path, parts: Mapping[str, pd.DataFrame]) -> None:
    """Write ``mean.png`` and ``sheet.png`` of a data set; its faces are in the order of their ids,
    which is a random one."""
    encoded = pd.concat(parts.values()).sort_values("id")["image"].head(AVERAGED)
    total = np.zeros((), np.float64)
    for image in encoded:
        total = total + tables.decode(image["bytes"])
    mean = (total / len(encoded)).round().astype(np.uint8)
    faces = [tables.decode(image["bytes"]) for image in encoded.head(SHOWN)]
    folder.mkdir(parents=True, exist_ok=True)
    large = cv2.resize(mean, (256, 256), interpolation=cv2.INTER_CUBIC)
    mean_face, sheet = (folder / name for name in DRAWN)
    mean_face.write_bytes(tables.encode_png(large))
    sheets.contact_sheet(sheet, faces)


def write(
    folder: Path, summaries: Mapping[str, dict[str, Any]], metrics: Path, rules: Celeba
) -> dict[str, dict[str, Any]]:
    """Write ``README.md`` and ``card.json`` of both data sets.

    Args:
        folder: gets a folder for each data set.
        summaries: domain → `summarise`'s result.
        metrics: the folder of the stages' metrics files.
        rules: which photos were asked for.

    Returns:
        domain → what is in ``card.json``.
    """
    cards = {}
    for domain, summary in summaries.items():
        card = {"name": domain, **summary, "funnel": _funnel(domain, metrics, summary)}
        if domain == "photos":
            card["rules"] = rules.model_dump(mode="json")
        card["biases"] = list(biases(domain, summaries))
        stage.write_json(folder / domain / "card.json", card)
        (folder / domain / CARD).write_bytes(page(card, summaries).encode())
        cards[domain] = card
    return cards


def write_whole(splits: Path, folder: Path, cards: Mapping[str, dict[str, Any]]) -> None:
    """Write the one card that lies with the shards, and copies of its pictures.

    Args:
        splits: the folder of the shards.
        folder: where `draw` left the pictures.
        cards: `write`'s result.
    """
    pictures = splits / PICTURES
    pictures.mkdir()
    for domain in cards:
        for name in DRAWN:
            shutil.copyfile(folder / domain / name, pictures / f"{domain}-{name}")
    (splits / CARD).write_bytes(whole(cards).encode())


def biases(domain: str, summaries: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """What this data set has too much or too little of, each as a sentence with its numbers."""
    ours = summaries[domain]
    other = next(name for name in summaries if name != domain)
    labelled = [name for name in ATTRIBUTES if ours["unknown"][name] < 1]
    if not labelled:
        yield "No attribute of any image is known."
    for name in ATTRIBUTES if labelled else []:
        here, there = ours["attributes"][name], summaries[other]["attributes"][name]
        if ours["unknown"][name] > 0.5:
            yield f"{name}: unknown for {ours['unknown'][name]:.0%} of the images."
        one_sided = {each: _one_sided(name, summary) for each, summary in summaries.items()}
        values = values_of(name)
        for value in values[:1] if len(values) == 2 else values:  # of two, one tells the other
            one, two = here.get(value, 0.0), there.get(value, 0.0)
            if here and there and not any(one_sided.values()) and abs(one - two) >= APART:
                yield f"{name} {value}: {one:.0%} here, {two:.0%} of {other} (where it is known)."
        if here and not one_sided[domain] and (most := max(here.values())) >= ALMOST_ALL:
            value = max(here, key=here.__getitem__)
            yield f"{name} {value}: {most:.0%} of the images where it is known."
    source, count = max(ours["sources"].items(), key=lambda item: item[1])
    if len(ours["sources"]) > 1 and count >= 0.5 * ours["images"]:
        yield f"{count / ours['images']:.0%} of the images come from one source, {source}."
    if ours["largest_group"] > max(1, 0.01 * ours["images"]):
        yield f"One person or post alone has {ours['largest_group']} images."
    if (absent := ours["licences"].get("not stated", 0)) > 0:
        yield f"{absent / ours['images']:.0%} of the images come without a stated licence."


def _one_sided(attribute: str, summary: Mapping[str, Any]) -> bool:
    """Whether labels seem to say one value or nothing, as CelebA's of skin: shares mean nothing."""
    return len(summary["attributes"][attribute]) == 1 and summary["unknown"][attribute] > 0.5


def _funnel(domain: str, folder: Path, summary: Mapping[str, Any]) -> list[list[Any]]:
    """[what, how many are left] for each step whose metrics are there, and the splits' images."""
    steps: list[list[Any]] = []
    for label, file, key in STEPS[domain]:
        if "whole" in summary:
            if key in DETECTION:
                continue
            label = label.replace("faces", "pictures").replace("aligned, ", "")
        counts = tracking.flatten(json_files.metrics(folder, file))
        if key.endswith("*"):  # rules only ever take away, so the counts tell their order
            some = {name: n for name, n in counts.items() if name.startswith(key[:-1])}
            order = sorted(some.items(), key=lambda item: -item[1])
            steps += [[name.replace("_", " "), n] for name, n in order]
        elif key in counts:
            steps.append([label, counts[key]])
    return [*steps, ["in the splits", summary["images"]]]


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in column.value_counts().sort_index().items()}


def _shares(column: pd.Series) -> dict[str, float]:
    known = column[column != UNKNOWN]
    counted = known.value_counts(normalize=True).sort_index()
    return {str(value): float(share) for value, share in counted.items()}

"""A data set card as Markdown: the front matter that Hugging Face reads, then tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.core import yaml_files
from pipeline.figures.markdown import code, grid, plain
from pipeline.imaging.attributes import ATTRIBUTES, UNKNOWN, values_of

DOMAINS = ("photos", "anime")
NOUGHT = {"0.0 %", "–"}  # none of them, or none that are known


def markdown(card: Mapping[str, Any], summaries: Mapping[str, dict[str, Any]]) -> str:
    """The card as Markdown, after the front matter of a Hugging Face data set."""
    name = card["name"]
    files = [
        {"split": split, "path": f"data/splits/{part}/{name}-*.parquet"}
        for split, part in (("train", "train"), ("validation", "val"), ("test", "test"))
    ]
    front = {
        "pretty_name": f"face2anime {name}",
        "license": "other",
        "task_categories": ["image-to-image", "unconditional-image-generation"],
        "tags": [name] if "whole" in card else ["faces", "aligned", name],
        "size_categories": [_size(card["images"])],
        "configs": [{"config_name": name, "data_files": files}],
    }
    shares = [
        [f"{attribute} {value}", *(_share(summaries[d], attribute, value) for d in DOMAINS)]
        for attribute in ATTRIBUTES
        for value in [*values_of(attribute), UNKNOWN]
    ]
    thing, aligned, owners = "face", "aligned ", "people or posts"
    about = "Both eyes of every face are at the same two places."
    if "whole" in card:
        thing, aligned, owners = "picture", "", "files"
        about = "Each is the middle square of a picture; no face was looked for."
    sections = [
        f"# {name}: {card['images']:,} {aligned}{thing}s of {card['pixels']} pixels",
        f"{about} Rows hold `id` (sha256 of the pixels), `image` (PNG), the attributes below and "
        "where the image comes from.",
        f"![the mean {thing}](mean.png) ![a hundred {thing}s](sheet.png)",
        "## Splits",
        grid(["split", "images"], card["splits"].items()),
        f"{card['groups']:,} {owners}, none of them in two splits; nor is any near-duplicate.",
        "## Sources and licences",
        grid(["source", "images"], [(plain(k), n) for k, n in card["sources"].items()]),
        grid(["licence", "images"], [(plain(k), n) for k, n in card["licences"].items()]),
        "## From what was found to what is here",
        grid(["step", "left"], card["funnel"]),
        *_rules(card.get("rules")),
        "## Attributes of both data sets",
        "Shares of the images where the attribute is known; `unknown` is a share of all.",
        grid(["attribute", *DOMAINS], [row for row in shares if not {*row[1:]} <= NOUGHT]),
        "## Known biases",
        "\n".join(f"- {text}" for text in card["biases"]) or "None that the numbers show.",
    ]
    header = yaml_files.dumps(front)
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


def _rules(rules: Mapping[str, Any] | None) -> list[str]:
    if rules is None:
        return []
    said = ", ".join(
        f"{k}: {json.dumps(v)}" for k, v in rules.items() if v not in (None, {}, False)
    )
    return [f"Photos were chosen by {code(said)}."]


def _share(summary: Mapping[str, Any], attribute: str, value: str) -> str:
    known = summary["attributes"][attribute]
    if not known and value != UNKNOWN:
        return "–"
    share = summary["unknown"][attribute] if value == UNKNOWN else known.get(value, 0.0)
    return f"{100 * share:.1f} %"


def _size(images: int) -> str:
    limits = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((name for limit, name in limits if images < limit), "100K<n<1M")

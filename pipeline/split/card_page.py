"""Data set cards as Markdown: a page of each domain, and the one that lies with the shards.

The latter begins with the front matter that Hugging Face reads. Texts of strangers, as sources and
licences, are escaped where they are put in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core import yaml_files
from pipeline.figures.markdown import code, escape, grid
from pipeline.imaging.attributes import ATTRIBUTES, UNKNOWN, values_of

DOMAINS = ("photos", "anime")
PARTS = {"train": "train", "validation": "val", "test": "test"}  # Hugging Face's names → ours
PICTURES = "_card"  # the folder of the card's pictures; readers of folders pass over the underscore
NOUGHT = {"0.0 %", "–"}  # none of them, or none that are known
MOST_ROWS = 50  # of a table of what strangers wrote
OPENING = """## Open it

Each file has all columns; those that photos or drawings lack are null. `domain` is `anime` or
`photos`, `split` is `train`, `val` or `test`.

```python
from datasets import load_dataset

folder = "data/splits"  # where this card lies
anime = load_dataset(folder, "anime", split="train")  # or "photos"; split: train, validation, test
anime[0]["image"].show()
```

```python
import pandas

folder = "data/splits"
train = pandas.read_parquet(f"{folder}/train")
everything = pandas.read_parquet(folder, ignore_prefixes=["README", "_"])  # less this card
```

```python
import duckdb, polars

files = "data/splits/**/*.parquet"
counts = duckdb.sql(f"select domain, split, count(*) from '{files}' group by all").fetchall()
table = polars.read_parquet(files)
```

`image` has the bytes of a PNG: `PIL.Image.open(io.BytesIO(row["image"]["bytes"]))`."""


def whole(cards: Mapping[str, Mapping[str, Any]]) -> str:
    """The card of ``data/splits``: front matter, how it is opened, and the page of each domain.

    Args:
        cards: domain → what ``card.json`` holds.
    """
    total = sum(card["images"] for card in cards.values())
    front = {
        "pretty_name": "face2anime",
        "license": "other",
        "task_categories": ["image-to-image", "unconditional-image-generation"],
        "tags": sorted({tag for card in cards.values() for tag in _tags(card)}),
        "size_categories": [_size(total)],
        "configs": [
            {
                "config_name": name,
                "data_files": [
                    {"split": split, "path": f"{part}/{name}-*.parquet"}
                    for split, part in PARTS.items()
                ],
            }
            for name in sorted(cards)
        ],
    }
    pages = [
        _deeper(page(card, cards, pictures=f"{PICTURES}/{name}-")) for name, card in cards.items()
    ]
    text = "\n\n".join([f"# face2anime: {total:,} photos and drawings", OPENING, *pages])
    return f"---\n{yaml_files.dumps(front)}---\n\n{text.rstrip()}\n"


def page(
    card: Mapping[str, Any], summaries: Mapping[str, Mapping[str, Any]], pictures: str = ""
) -> str:
    """The card of one domain as Markdown.

    Args:
        card: what ``card.json`` holds.
        summaries: domain → at least ``attributes`` and ``unknown`` of both.
        pictures: begins the paths of the pictures.
    """
    thing, aligned, owners = "face", "aligned ", "people or posts"
    about = "Both eyes of every face are at the same two places."
    if "whole" in card:
        thing, aligned, owners = "picture", "", "files"
        about = "Each is the middle square of a picture; no face was looked for."
    sections = [
        f"# {card['name']}: {card['images']:,} {aligned}{thing}s of {card['pixels']} pixels",
        f"{about} Rows hold `id` (sha256 of the pixels), `image` (PNG), the attributes below and "
        "where the image comes from.",
        f"![the mean {thing}]({pictures}mean.png) ![a hundred {thing}s]({pictures}sheet.png)",
        "## Splits",
        grid(["split", "images"], card["splits"].items()),
        f"{card['groups']:,} {owners}, none of them in two splits; nor is any near-duplicate.",
        "## Sources and licences",
        grid(["source", "images"], _most(card["sources"])),
        grid(["licence", "images"], _most(card["licences"])),
        "## From what was found to what is here",
        grid(["step", "left"], card["funnel"]),
        *_rules(card.get("rules")),
        "## Attributes of both data sets",
        "Shares of the images where the attribute is known; `unknown` is a share of all.",
        grid(["attribute", *DOMAINS], _shares(summaries)),
        "## Known biases",
        "\n".join(f"- {escape(text)}" for text in card["biases"]) or "None that the numbers show.",
    ]
    return "\n\n".join(sections) + "\n"


def _most(counts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """All counts; of very many the largest ones, and what the others come to."""
    if len(counts) <= MOST_ROWS:
        return counts.items()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    others = sum(n for _, n in ordered[MOST_ROWS:])
    return [*ordered[:MOST_ROWS], (f"{len(counts) - MOST_ROWS:,} others", others)]


def _deeper(text: str) -> str:
    """Headings one level down, below the title of a longer page."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in text.splitlines())


def _rules(rules: Mapping[str, Any] | None) -> list[str]:
    if rules is None:
        return []
    said = ", ".join(
        f"{k}: {json.dumps(v)}" for k, v in rules.items() if v not in (None, {}, False)
    )
    return [f"Photos were chosen by {code(said)}."]


def _shares(summaries: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """[attribute and value, share of each domain], without values that neither has."""
    rows = [
        [f"{attribute} {value}", *(_share(summaries[d], attribute, value) for d in DOMAINS)]
        for attribute in ATTRIBUTES
        for value in [*values_of(attribute), UNKNOWN]
    ]
    return [row for row in rows if not {*row[1:]} <= NOUGHT]


def _share(summary: Mapping[str, Any], attribute: str, value: str) -> str:
    known = summary["attributes"][attribute]
    if not known and value != UNKNOWN:
        return "–"
    share = summary["unknown"][attribute] if value == UNKNOWN else known.get(value, 0.0)
    return f"{100 * share:.1f} %"


def _tags(card: Mapping[str, Any]) -> list[str]:
    return [card["name"]] if "whole" in card else ["faces", "aligned", card["name"]]


def _size(images: int) -> str:
    limits = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((name for limit, name in limits if images < limit), "100K<n<1M")

"""The result page: one HTML file that needs nothing beside it, pictures included."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import stage, tracking
from pipeline.figures import charts
from pipeline.figures.html import document, picture

STAGES = {
    "discover": "which posts the sources offer",
    "crawl": "what was downloaded",
    "faces": "what was cut out of the crawled images, brought to one size and place",
    "dedupe": "repeated images found and removed",
    "celeba": "photos filtered by label, brought to the same size and place",
    "split": "train, validation and test",
    "recognizer": "the attribute networks: one for losses, one that only evaluates",
}
CONTROLS = {
    "untrained": "the same network before training",
    "copy": "source images as they are",
    "floor": "other real images of the target",
}
CHECKS = {
    "beats_untrained": "closer to the target than the untrained network",
    "beats_copy": "closer to the target than the source images",
    "keeps_hair_better_than_shuffled": "keeps hair colour better than a random target image",
}


def page(
    board: pd.DataFrame, result: Mapping[str, Any], direction: str, reports: Path = Path("reports")
) -> str:
    """HTML of the whole page, from `pipeline.compare`'s leaderboard and result.

    Pictures and curves are read from under ``reports``; those that are absent are left out.
    """
    winner = str(board["variant"][0])
    variants = [str(name) for name in board["variant"]]
    sections = [
        _headline(board, result["winner"][winner][direction], winner, direction),
        picture(reports / f"sheets/evaluate/{winner}/{direction}.png", f"{winner}, {direction}"),
        "<h2>Variants</h2>",
        _chart(board),
        _table(board),
        _checks(result["checks"]),
        "<h2>More translations</h2>",
        *_translations(reports, variants, shown=(winner, direction)),
        "<h2>Training</h2>",
        _curves(reports / "plots/held_out", variants),
        _curves(reports / "plots/train", variants),
        "<h2>Data, stage by stage</h2>",
        _cards(reports / "datasets"),
        *[_stage(reports, name, text) for name, text in STAGES.items()],
        _how_to(),
    ]
    return document("face2anime: results", sections)


def _headline(board: pd.DataFrame, test: Mapping[str, Any], winner: str, direction: str) -> str:
    kid, hair = test["kid"], test["agreement"].get("hair")
    kept = f" Hair colour is kept in {_percent(hair['translated'])}." if hair else ""
    controls = {name: _number(test[name]["value"]) for name in CONTROLS}
    return (
        f"<h1>face2anime</h1><p class=lead>Of {len(board)} variants, <b>{escape(winner)}</b> ranks "
        "first on validation. On test images, used for nothing else, its KID is "
        f"<b>{_interval(kid)}</b>; the untrained network has {controls['untrained']}, copying the "
        f"input {controls['copy']}, other real images {controls['floor']}.{kept}</p>"
        f"<p class=note>{_arrow(direction)}; {kid['n_fake']} translated against {kid['n_real']} "
        "real images; brackets hold 95 % intervals over images. KID (kernel inception distance) "
        "is 0 when two sets of images cannot be told apart; lower is better. It is measured in the "
        "features of a recognizer that only evaluates, so it compares with numbers on this page "
        "alone.</p>"
    )


def _chart(board: pd.DataFrame) -> str:
    rows = [
        (str(row["variant"]), row["kid"], row["kid_low"], row["kid_high"], False)
        for row in board.to_dict("records")
    ]
    best = board.iloc[0]
    rows += [
        (name, best[name], best[f"{name}_low"], best[f"{name}_high"], True) for name in CONTROLS
    ]
    shown = [row for row in rows if row[0] != "untrained"]  # it may be further off than all else
    limit = float(np.nanmax([high for _, _, _, high, _ in shown]))
    keys = "; ".join(f"<i>{name}</i>: {text}" for name, text in CONTROLS.items())
    return (
        f"<div class=card>{charts.intervals('KID on validation (root scale)', rows, limit)}"
        f"<p class=note>In grey, the controls of {escape(str(best['variant']))}. {keys}.</p></div>"
    )


def _table(board: pd.DataFrame) -> str:
    """Every measurement that has an interval, one column each, controls under the value."""
    heads = [c.removesuffix("_shuffled") for c in map(str, board) if c.endswith("_shuffled")]
    titles = ["Variant", "Parameters", "KID", "Untrained", "Cycle L1"]
    titles += [f"{escape(head.replace('_', ' '))} kept" for head in heads]
    body = ""
    for row in board.to_dict("records"):
        cells = [escape(str(row["variant"])), f"{row['parameters']:,}", _cell(row, "kid")]
        cells += [_cell(row, "untrained"), _number(row["cycle_l1"])]
        for head in heads:
            chance, copy = _number(row[f"{head}_shuffled"]), _number(row[f"{head}_copy"])
            controls = f"<small>shuffled {chance}</small><small>copy {copy}</small>"
            cells.append(_cell(row, head) + controls)
        marked = " class=best" if row["rank"] == 1 else ""
        body += f"<tr{marked}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    header = "".join(f"<th scope=col>{title}</th>" for title in titles)
    return (
        "<div class=card><table><caption>Validation, best first. Lowest KID leads; variants within "
        "its interval are tied, and the one with fewer parameters goes first.</caption>"
        f"<thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _checks(checks: Mapping[str, Mapping[str, int]]) -> str:
    items = "".join(
        f"<li><b>{escape(variant)}</b>: "
        + "; ".join(
            f"<span class={'yes' if passed else 'no'}>{'✓' if passed else '✗ not shown:'} "
            f"{CHECKS[name]}</span>"
            for name, passed in results.items()
        )
        + "</li>"
        for variant, results in checks.items()
    )
    return (
        f"<ul>{items}</ul><p class=note>✓ only where the whole 95 % interval is on the good side "
        "of the control.</p>"
    )


def _translations(reports: Path, variants: list[str], shown: tuple[str, str]) -> list[str]:
    blocks = []
    for variant in variants:
        for path in sorted((reports / "sheets/evaluate" / variant).glob("*.png")):
            if (variant, path.stem) != shown:
                title = f"{variant}: {_arrow(path.stem)}"
                summary = f"<summary>{escape(title)}</summary>"
                blocks.append(f"<details>{summary}{picture(path, title)}</details>")
    return blocks


def _curves(folder: Path, variants: list[str]) -> str:
    frames = {
        name: pd.read_csv(folder / f"{name}.csv").set_index("images")
        for name in variants
        if (folder / f"{name}.csv").is_file()
    }
    columns = dict.fromkeys(column for frame in frames.values() for column in frame.columns)
    drawn = [
        charts.lines(
            column, {name: f.get(column, pd.Series(dtype=float)) for name, f in frames.items()}
        )
        for column in columns
    ]
    legend = "".join(
        f"<span class=key style='background:{charts.colour(i)}'></span>{escape(name)}"
        for i, name in enumerate(frames)
    )
    return f"<div class=card><p>{legend}</p>{''.join(drawn)}</div>" if drawn else ""


def _cards(folder: Path) -> str:
    links = [
        f'<a href="{folder.name}/{path.parent.name}/README.md">{escape(path.parent.name)}</a>'
        for path in sorted(folder.glob("*/README.md"))
    ]
    return f"<p>The data sets' cards, beside this page: {', '.join(links)}.</p>" if links else ""


def _stage(reports: Path, name: str, text: str) -> str:
    path = reports / "metrics" / f"{name}.json"
    counts = tracking.flatten(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
    rows = "".join(
        f"<tr><td>{escape(key.replace('.', ' › '))}</td><td>{_number(value)}</td></tr>"
        for key, value in counts.items()
    )
    table = f"<details><summary>Numbers</summary><table>{rows}</table></details>" if rows else ""
    sheets = sorted((reports / stage.SHEETS.name / name).rglob("*.png"))
    pictures = [picture(path, f"{name}: {path.stem.replace('_', ' ')}") for path in sheets]
    if not (table or pictures):
        return ""
    return f"<h3>{name}</h3><p class=note>{text}</p>{''.join(pictures[:2])}{table}"


def _how_to() -> str:
    return (
        "<h2>Going on</h2><p><code>make ui</code> opens MLflow on all runs: parameters, losses and "
        "quality in one table. <code>dvc exp run -S train.budget_images=20000</code> tries a "
        "change, "
        "<code>dvc exp show</code> compares it; a new row under <code>variants</code> in "
        "<code>params.yaml</code> is a new model.</p>"
    )


def _arrow(direction: str) -> str:
    return escape(direction.replace("2", " → "))


def _cell(row: Mapping[Any, Any], name: str) -> str:
    if math.isnan(row[name]):
        return "not measured"
    low, high = _number(row[f"{name}_low"]), _number(row[f"{name}_high"])
    return f"{_number(row[name])}<small>{low} to {high}</small>"


def _interval(estimate: Mapping[str, float]) -> str:
    low, high = _number(estimate["low"]), _number(estimate["high"])
    return f"{_number(estimate['value'])} [{low}, {high}]"


def _percent(estimate: Mapping[str, float]) -> str:
    low, high = f"{estimate['low']:.0%}", f"{estimate['high']:.0%}"
    return f"{estimate['value']:.0%} [{low}, {high}], each colour weighing the same"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"

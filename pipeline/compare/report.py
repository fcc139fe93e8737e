"""The result page: one HTML file that needs nothing beside it, pictures included.

What it says is in ``report.html`` and `words`; here is what that is filled with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from models.domains import DIRECTIONS, DOMAINS
from models.runtime.curves import read_curves
from pipeline.compare import measured, ranking, words
from pipeline.core import stage, tracking
from pipeline.core.errors import StageError
from pipeline.figures import charts, html, sheets

CONTROLS = ("copy", "untrained", "floor", "shuffled")  # beside what a variant gets
ENDS = ("", "_low", "_high")  # of a measure's columns

Row = Mapping[str, Any]  # measures by the names of `ranking.columns`


def page(
    board: pd.DataFrame,
    result: Mapping[str, Any],
    direction: str,
    facts: Mapping[str, str],
    reports: Path = Path("reports"),
) -> str:
    """HTML of the whole page.

    Args:
        board: `ranking.leaderboard`'s result.
        result: the checks, and the winner's numbers on test.
        direction: the one that ranks.
        facts: name → what is said below the title.
        reports: where pictures and curves are; those that are absent are left out.
    """
    rows: list[Row] = board.to_dict("records")
    variants = [str(row["variant"]) for row in rows]
    labels = ranking.heads(board)
    places = dict(zip(variants, ranking.places(board), strict=True))
    order = [direction, *(name for name in DIRECTIONS if name != direction)]
    tests, checks = result["winner"][variants[0]], result["checks"].values()
    return html.render(
        Path(__file__).with_name("report.html"),
        title="face2anime: results",
        board=rows,
        best=rows[0],
        first=[row["variant"] for row in rows if row["rank"] == 1],
        places=places,
        facts=facts,
        directions=order,
        domains={name: [words.MANY[domain] for domain in DIRECTIONS[name]] for name in order},
        one={name: [words.ONE[domain] for domain in DIRECTIONS[name]] for name in order},
        strips={name: _strips(reports, variants, name) for name in order},
        ranked=[name for name in ranking.RULE if name in board],
        words={name: words.measure(name, labels) for name in map(str, board)},
        cell=_cell,
        table=_measures(rows, labels),
        tests={name: _measures([ranking.columns(tests[name])], labels) for name in order},
        sizes={name: tests[name]["quality"]["kid"]["translated"] for name in order},
        charts=_charts(rows, direction),
        checks=result["checks"],
        asked={n: t for n, t in words.CHECKS.items() if any(n in told for told in checks)},
        sheets=[
            (f"{variant}: {name.replace('2', ' → ')}", reports / _sheet(variant, name))
            for variant in variants
            for name in order
            if (reports / _sheet(variant, name)).is_file()
        ],
        curves=[c for kind in ("held_out", "train") for c in _curves(reports, kind, variants)],
        cards=[html.document(path) for path in _cards(reports, "README.md")],
        attributes=_attributes(reports),
        stages=[told for told in (_stage(reports, name) for name in words.STAGES) if told],
    )


def _sheet(variant: str, direction: str) -> str:
    return f"sheets/evaluate/{variant}/{direction}.png"


def _strips(reports: Path, variants: Iterable[str], direction: str) -> list[dict[str, Any]]:
    """Rows of the same sources, and what each variant makes of them; [] without any."""
    source, target = (words.ONE[domain] for domain in DIRECTIONS[direction])
    rows: list[dict[str, Any]] = []
    for variant in variants:
        path = reports / _sheet(variant, direction).replace(".png", "-strip.png")
        if not path.is_file():
            continue
        try:
            above, below = sheets.cut(path, rows=2)
        except OSError:
            message = f"{path} is no readable picture: dvc repro -f evaluate@{variant}"
            raise StageError(message) from None
        if not rows:
            told = [html.image(x, f"{source} {n}, held out") for n, x in enumerate(above, 1)]
            rows.append({"variant": "", "pictures": told})
        alt = f"{source} {{}} as {target}, by {variant}"
        told = [html.image(x, alt.format(n)) for n, x in enumerate(below, 1)]
        rows.append({"variant": variant, "pictures": told})
    return rows


def _cell(row: Row, name: str, measure: words.Measure) -> dict[str, str] | None:
    """A value and its interval as texts; None where it was not measured."""
    value = row.get(name, math.nan)
    if math.isnan(value):
        return None
    ends = [row.get(f"{name}_{end}", math.nan) for end in ("low", "high")]
    known = not any(map(math.isnan, ends))
    return {
        "value": measure.told(value),
        "interval": " to ".join(map(measure.told, ends)) if known else "",
    }


def _measures(rows: Sequence[Row], labels: list[str]) -> list[dict[str, Any]]:
    """All measures, one a row: what each of ``rows`` has, the controls of the first, the best."""
    names = [name for name in rows[0] if f"{name}_low" in rows[0]]
    order = [*words.FIRST, *labels, *words.MEASURES]
    table = []
    for name in dict.fromkeys([*(name for name in order if name in rows[0]), *names]):
        measure = words.measure(name, labels)
        cells = [_cell(row, name, measure) for row in rows]
        controls = {kind: _cell(rows[0], f"{name}_{kind}", measure) for kind in CONTROLS}
        if any(cells):
            table.append({"measure": measure, "cells": cells, **controls})
    return table


def _charts(rows: Sequence[Row], direction: str) -> list[str]:
    """What the rule asks: all variants, and the best one's controls in grey."""
    source, target = DIRECTIONS[direction]
    controls = {
        "copy": f"the {words.ONE[source]} as it is",
        "untrained": "untrained network",
        "floor": f"other real {words.MANY[target]}",
        "shuffled": f"a random real {words.ONE[target]}",
    }
    drawn = []
    for name, sign in ranking.RULE.items():
        measure = words.measure(name, [])
        dots = [
            (str(row["variant"]), *(row.get(f"{name}{end}", math.nan) for end in ENDS), False)
            for row in rows
        ]
        grey = [(text, rows[0].get(f"{name}_{kind}", math.nan)) for kind, text in controls.items()]
        dots += [(text, value, math.nan, math.nan, True) for text, value in grey]
        # The untrained network may be further off than all else.
        highest = [high if high == high else value for text, value, _, high, _ in dots
                   if text != controls["untrained"]]  # fmt: skip
        limit = 1.0 if measure.share else max([x for x in highest if x == x], default=1.0)
        title = f"{measure.title} ({'more' if sign > 0 else 'less'} is better)"
        drawn.append(
            charts.intervals(title, dots, limit, root=not measure.share, told=measure.told)
        )
    return [svg for svg in drawn if svg]


def held_out(reports: Path, variants: Iterable[str]) -> pd.DataFrame:
    """The held-out curves of all variants, one below the other; for `dvc plots show`.

    Columns: images, variant, then a measure each; what a variant was not measured for is empty.
    """
    frames = [
        pd.DataFrame({"variant": name}, index=frame.index).join(frame).reset_index()
        for name, frame in _frames(reports, "held_out", variants).items()
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["images", "variant"])


def _frames(reports: Path, kind: str, variants: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Variant → its curves over images, where training left some."""
    files = {name: reports / "plots" / kind / f"{name}.csv" for name in variants}
    return {
        name: read_curves(path, f"dvc repro train@{name}").set_index("images")
        for name, path in files.items()
        if path.is_file()
    }


def _curves(reports: Path, kind: str, variants: Iterable[str]) -> list[str]:
    frames = _frames(reports, kind, variants)
    titles = {str(name): words.curve(str(name)) for frame in frames.values() for name in frame}
    return charts.curves(frames, titles)


def _cards(reports: Path, name: str) -> list[Path]:
    paths = [reports / "datasets" / domain / name for domain in DOMAINS]
    return [path for path in paths if path.is_file()]


def _attributes(reports: Path) -> list[str]:
    """A chart of each attribute that is known of both data sets, by their cards."""
    paths = _cards(reports, "card.json")
    if len(paths) < len(DOMAINS):
        return []
    shares = [measured.card(path)["attributes"] for path in paths]
    return [
        charts.shares(
            f"{name.replace('_', ' ').capitalize()}, where it is known",
            {domain: known[name] for domain, known in zip(DOMAINS, shares, strict=True)},
        )
        for name in shares[0]
        if all(known.get(name) for known in shares)
    ]


def _stage(reports: Path, name: str) -> dict[str, Any] | None:
    """What a stage left: its numbers, and pictures worth seeing; None where there is nothing."""
    numbers = measured.stage(reports / "metrics", name)
    shown = [
        (reports / stage.SHEETS.name / f"{place}.png", alt)
        for place, alt in words.SHEETS.items()
        if place.split("/")[0] == name
    ]
    shown = [(path, alt) for path, alt in shown if path.is_file()]
    if not numbers and not shown:
        return None
    counts = tracking.flatten(numbers)
    read = numbers.get("evaluation", {}) if name == "recognizer" else {}
    drawn = [_read_right(domain, read[domain]) for domain in DOMAINS if read.get(domain)]
    return {
        "name": name, "text": words.STAGES[name], "counts": counts, "sheets": shown, "charts": drawn
    }  # fmt: skip


def _read_right(domain: str, heads: Mapping[str, Mapping[str, float]]) -> str:
    titles = {"balanced": "read right", "chance": "by chance"}
    values = {
        title: {head.replace("_", " "): numbers[key] for head, numbers in heads.items()}
        for key, title in titles.items()
    }
    return charts.shares(f"Labels of held-out {words.MANY[domain]}, by the evaluator", values)

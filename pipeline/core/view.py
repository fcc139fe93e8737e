"""What MLflow's UI shows of our runs: sections of metrics, names, the table, descriptions.

A slash in a metric's name makes a section of charts; what has none stands above all sections.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.core import params, yaml_files

MODELS, STAGES = "face2anime", "face2anime-data"  # the experiments
ABOUT = {
    MODELS: "One run a trained model: its params, curves, samples, and its quality on held-out "
    "images. Lowest KID first. Select two runs and *Compare* to see what differs. "
    "How the data came about is in the experiment `face2anime-data`.",
    STAGES: "One run a stage other than training: crawl, faces, dedupe, split, recognizer, "
    "compare … Its inputs carry the md5 that `dvc.lock` has.",
}
VIEW = "models"  # of the table that `make ui` opens
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
NOTE = "mlflow.note.content"  # shown as the description of a run or an experiment
COLUMNS = (
    "metrics.`kid`", "tags.`kid_95`", "tags.`place`", "metrics.`face_found`", "metrics.`kept`",
    "metrics.`cycle`", "metrics.`minutes`", "tags.`device`", "tags.`variant`", "tags.`changed`",
    "tags.`data`",
)  # fmt: skip
TICK, NAME = "0", "attributes.`Run Name`"  # the first columns, as the table calls them
WIDTHS = {NAME: 250, "tags.`changed`": 180, "tags.`device`": 110, "tags.`kid_95`": 125}
WIDTHS |= {name: 90 for name in COLUMNS if name not in WIDTHS and name.startswith(("m", "tags.`p"))}
PICTURES = "pictures"  # the section of translations
PICTURE_HEIGHT = 400  # pixels of a chart: MLflow's 256 of a picture, a name, a slider
TOP = "Model metrics"  # as MLflow calls the section of what has no slash
# In the order of the page.
SECTIONS = (
    PICTURES, TOP, "held_out", "quality", "kept", "losses", "quality_controls",
    "kept_controls", "training", "System metrics",
)  # fmt: skip
PROGRESS = {"seconds", "images_seen", "resumed_from", "parameters", "lr", "images_per_second"}
WORKSPACE = "workspace"  # the experiment of a plain `dvc repro`, as `dvc exp show` calls it
HELD_OUT = "held_out."
MOST_CHANGES = 3  # that the name of a run tells
KINDS = {"quality": "quality", "faces": "quality", "agreement": "kept"}  # of a block's parts


def metric(name: str) -> str:
    """The name under which a number of a training is logged."""
    return f"training/{name}" if name in PROGRESS else name


def curve(name: str) -> str:
    """The name under which a curve of a training is logged."""
    if name.startswith(HELD_OUT):
        return f"held_out/{name.removeprefix(HELD_OUT)}"
    return metric(name) if name in PROGRESS else f"losses/{name}"


def scores(blocks: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """One split's numbers by section, without intervals.

    ``blocks``: direction → block of `pipeline.evaluate`. ``before`` begins the sections' names.
    What translations get is in ``quality`` and ``kept``, controls in ``…_controls``.
    """
    named: dict[str, float] = {}
    for direction, block in blocks.items():
        for part, kind in KINDS.items():
            for name, sets in block.get(part, {}).items():
                for which, estimate in sets.items():
                    ours = which == "translated"
                    section = f"{before}{kind}" + ("" if ours else "_controls")
                    full = name if ours else f"{name}_{which}"
                    named[f"{section}/{full}_{direction}"] = estimate["value"]
        named[f"{before}quality/cycle_l1_{direction}"] = block["cycle_l1"]
    return named


def table() -> str:
    """The table of models as MLflow keeps a shared view: filter, sort, columns, sections."""
    sections: list[dict[str, Any]] = [
        {"uuid": name, "name": name, "display": True, "isReordered": True, "deleted": False}
        | {"isGenerated": True}
        for name in SECTIONS
    ]
    sections[0] |= {"columns": 1, "cardHeight": PICTURE_HEIGHT}  # all models in one row
    state = {
        "searchFilter": 'tags.stage = "train"',  # an older store has all stages in one experiment
        "orderByKey": "metrics.`kid`",
        "orderByAsc": True,
        "selectedColumns": list(COLUMNS),
        "columnOrder": [TICK, NAME, *COLUMNS],
        "columnWidths": WIDTHS,
        "compareRunSections": sections,
        "compareRunCharts": charts(),
        "isAccordionReordered": True,
    }
    return json.dumps(state, separators=(",", ":"))


def charts() -> list[dict[str, Any]]:
    """The first charts of models: pictures, KID, params that differ. MLflow adds one a metric."""
    keys = [f"{PICTURES}/{direction}" for direction in ("photos2anime", "anime2photos")]
    cards: list[dict[str, Any]] = [
        # A column a model, a row a direction, instead of MLflow's own card a direction.
        {"type": "IMAGE", "imageKeys": keys, "step": 0, "showRunParams": False},
        *({"type": "IMAGE", "imageKeys": [key], "step": 0, "deleted": True} for key in keys),
        {"type": "BAR", "metricKey": "kid", "runsCountToCompare": 10},
        {"type": "DIFFERENCE", "compareGroups": ["Parameters"], "showDifferencesOnly": True}
        | {"showChangeFromBaseline": False, "chartName": "what differs", "baselineColumnUuid": ""},
    ]
    for number, card in enumerate(cards):
        section = PICTURES if card["type"] == "IMAGE" else TOP
        cards[number] = {
            "uuid": f"first-{number}", "metricSectionId": section,
            "deleted": False, "isGenerated": True, **card,
        }  # fmt: skip
    return cards


def link(address: str, experiment_id: str, *, pictures: bool = False) -> str:
    """Where the table of models, or the charts with ``pictures``, are on the server at ``address``.

    A cell of MLflow's table shows text alone; a picture is shown among charts, or in a run.
    """
    place = f"#/experiments/{experiment_id}/runs"
    view = f"?workflowType=machine_learning&viewStateShareKey={VIEW}"
    mode = "&compareRunsMode=CHART" if pictures else ""
    return f"{address.rstrip('/')}/{place}{view}{mode}"


def square(picture: Image.Image) -> Image.Image:
    """A strip with its right half below its left, until it is no strip: charts have squares."""
    while picture.width >= 4 * picture.height:
        width, height = picture.width // 2, picture.height
        halves = [picture.crop((left, 0, left + width, height)) for left in (0, width)]
        picture = Image.new(picture.mode, (width, 2 * height))
        for number, half in enumerate(halves):
            picture.paste(half, (0, number * height))
    return picture


def changed(variant: str) -> dict[str, Any]:
    """Param → value, of what training reads and the commit has otherwise; {} where unknown."""
    try:
        command = ["git", "show", f"HEAD:./{params.PATH}"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        before, now = yaml_files.loads(shown), yaml_files.read(Path(params.PATH))
    except (OSError, subprocess.CalledProcessError):
        return {}
    found: dict[str, Any] = {}
    for prefix, *keys in (("", params.VARIANTS, variant), ("", "train"), ("evaluate.", "evaluate")):
        old, new = (flatten(_at(tree, keys)) for tree in (before, now))
        if old:  # a new row has changed in nothing
            found |= {prefix + key: x for key, x in new.items() if key not in old or old[key] != x}
    return found


def told(changes: Mapping[str, Any]) -> str:
    """``lr=0.0004, losses.cycle=5``."""
    return ", ".join(f"{name}={value}" for name, value in changes.items())


def run_name(stage: str, changes: Mapping[str, Any], experiment: str) -> str:
    """``train@xgan`` → ``xgan lr=0.0004 (tidy-loot)``; other stages keep their names."""
    kind, _, variant = stage.partition("@")
    if kind != "train":
        return stage
    parts = [variant, told(dict(list(changes.items())[:MOST_CHANGES]))]
    parts += [f"+{len(changes) - MOST_CHANGES}"] if len(changes) > MOST_CHANGES else []
    parts += [f"({experiment})"] if experiment != WORKSPACE else []
    return " ".join(part for part in parts if part)


def note(stage: str, changes: Mapping[str, Any], experiment: str, commit: str) -> str:
    """A run's description: what it is, what was changed, how to get it again; Markdown."""
    kind, _, variant = stage.partition("@")
    lines = [f"**{variant}**, trained and evaluated" if kind == "train" else f"Stage `{kind}`"]
    if changes:
        lines.append(f"Changed: `{told(changes)}`")
    if experiment != WORKSPACE:
        lines.append(f"Take it over: `dvc exp apply {experiment}`")
    elif commit:
        lines.append(f"Again: `git checkout {commit[:10]} && dvc repro {stage}`")
    return "\n\n".join(lines)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _at(tree: Any, keys: Sequence[str]) -> Mapping[str, Any]:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}

"""Every knob of params.yaml has bounds, and a wrong value of any kind is one line before any stage
begins. The edits come from the schema, so a knob that is added is tried like the others.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from models.variants import Variant
from pipeline.core import params, yaml_files
from pipeline.core.checks import check
from pipeline.core.errors import StageError

DEMO = yaml_files.read(Path(__file__).resolve().parents[3] / "profiles/demo.yaml")
INF, NAN = float("inf"), float("nan")
KNOBS = [
    (section, key, rule)
    for section, model in params.SECTIONS.items()
    for key, rule in model.model_json_schema(by_alias=False)["properties"].items()
]
NAMES = [f"{section}.{key}" for section, key, _ in KNOBS]
VARIANT_KNOBS = [f for f in dataclasses.fields(Variant) if f.metadata]


def alternatives(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """What a knob may be, each with its type."""
    return rule.get("anyOf", [rule])


def wrong_values(rule: dict[str, Any]) -> Iterator[Any]:
    """A value of every kind that the knob is not, and for numbers those beyond its bounds."""
    kinds = {one["type"] for one in alternatives(rule)}
    yield from (w for kind, w in (("array", [[7]]), ("object", {"a": [1]})) if kind not in kinds)
    if "null" not in kinds:
        yield None
    if not kinds & {"string"}:
        yield "nonsense"
    if not kinds & {"boolean"}:
        yield True
    for one in alternatives(rule):
        if one["type"] in ("integer", "number"):
            low = one.get("minimum", one.get("exclusiveMinimum"))
            high = one.get("maximum", one.get("exclusiveMaximum"))
            yield from (low - 1, high + 1, INF, -INF, NAN, 2**70, -(2**70), "8")
        if one["type"] == "integer":
            yield 2.5
        if one["type"] == "boolean":
            yield from (1, "yes", 0.0)
        if "enum" in one:
            yield from ("nonsense", "", one["enum"][0].upper())
        if one["type"] in ("string", "array", "object"):
            yield from (7, 1.5)


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(StageError) as caught:
        check(content, params.SECTIONS, "params.yaml")
    return str(caught.value)


@pytest.mark.parametrize(("section", "key", "rule"), KNOBS, ids=NAMES)
def test_a_number_has_two_bounds(section: str, key: str, rule: dict[str, Any]) -> None:
    for one in alternatives(rule):
        if one["type"] in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(one), f"{section}.{key} has no least"
            assert {"maximum", "exclusiveMaximum"} & set(one), f"{section}.{key} has no most"


@pytest.mark.parametrize(("section", "key", "rule"), KNOBS, ids=NAMES)
def test_a_wrong_value_is_one_line_that_names_the_knob(section, key, rule) -> None:
    for wrong in wrong_values(rule):
        content = copy.deepcopy(DEMO)
        content[section][key] = wrong
        line = refusal(content)
        assert "\n" not in line and len(line) < 400, (wrong, line)
        assert line.startswith("params.yaml: section") and key in line, (wrong, line)


@pytest.mark.parametrize("section", params.SECTIONS)
@pytest.mark.parametrize("wrong", ["text", ["a", "list"], 7, True, [[]]])
def test_a_section_that_is_none(section: str, wrong: object) -> None:
    line = refusal({**DEMO, section: wrong})
    assert line.startswith(f"params.yaml: section '{section}' is no list of keys")


@pytest.mark.parametrize("key", [f.name for f in VARIANT_KNOBS])
def test_a_wrong_value_of_a_variant(key: str) -> None:
    field = next(f for f in VARIANT_KNOBS if f.name == key)
    kind, told = get_type_hints(Variant)[key], field.metadata
    wrong: list[Any] = [None, [1], {"a": 1}]
    if kind in (int, float):
        assert told["most"] is not None and (told["least"] is not None or told["above"] is not None)
        wrong += [told["most"] + 1, (told["least"] or 0) - 1, INF, NAN, True, "8", 2**70]
    elif told["choices"]:
        wrong += ["nonsense", 7, True]
    else:
        wrong += [7, 1.5]
    style = "gatys" if key.startswith("style") else "cyclegan"
    for value in wrong:
        row = {"architecture": style, "losses": {"cycle": 1} if style == "cyclegan" else {}}
        line = refusal({**DEMO, "variants": {"one": {**row, key: value}}})
        assert "\n" not in line and line.startswith("params.yaml: "), (value, line)
        assert key in line, (value, line)


@pytest.mark.parametrize("row", ["text", ["a"], 7, True])
def test_a_variant_that_is_no_row(row: object) -> None:
    assert "variant 'one' is no list of keys" in refusal({**DEMO, "variants": {"one": row}})


@pytest.mark.parametrize("losses", ["text", [1], {"cycle": 1e9}, {"cycle": True}, {7: 1}])
def test_wrong_losses(losses: object) -> None:
    assert "losses" in refusal({**DEMO, "variants": {"one": {"losses": losses}}}).replace(
        "unknown loss", "losses"
    )


# Each was a traceback, had no end, or was taken.
NONSENSE: list[tuple[str, Any]] = [
    ("web.timeout", INF), ("align.size", 1_000_000), ("train.pool_size", 1e12),
    ("train.pool_size", 10**12), ("evaluate.seed", -1), ("web.rate", 1e-300),
    ("evaluate.bootstrap", 1e12), ("evaluate.bootstrap", 10**12), ("web.retries", 1e9),
    ("web.retries", 10**9), ("faces.detect_size", 10**9), ("train.ema_half_life", INF),
    *((f"{section}.seed", wrong) for section in params.SECTIONS
      if "seed" in params.SECTIONS[section].model_fields for wrong in (-1, 2**70, True)),
]  # fmt: skip


@pytest.mark.parametrize(("knob", "wrong"), NONSENSE)
def test_nonsense_that_was_met_is_refused(knob: str, wrong: object) -> None:
    section, key = knob.split(".")
    line = refusal({**DEMO, section: {**DEMO[section], key: wrong}})
    assert line.startswith(f"params.yaml: section '{section}': key '{key}' is ")
    assert "\n" not in line


MISFITS = {
    "dedupe.unsure_bits": ({"same_bits": 40, "unsure_bits": 30}, "unsure_bits is below same_bits"),
    "faces.votes": ({"votes": 2}, "votes 2 can never agree"),
    "train.budget_images": ({"budget_images": 1}, "less than one batch"),
    "train.accumulate": ({"batch_size": 8, "accumulate": 3}, "no multiple of accumulate"),
    "train.image_size": ({"image_size": 128}, "aligned to align.size 64"),
    "recognizer.image_size": ({"image_size": 63}, "aligned to align.size 64"),
    "recognizer.heads": ({"heads": {"hair": ["red", "red"]}}, "a class twice"),
    "recognizer.heads.x": ({"heads": {"hair": ["red"]}}, "at least 2"),
    "recognizer.heads.y": ({"heads": {}}, "at least 1"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_knobs_that_do_not_fit_each_other(case: str) -> None:
    changes, words = MISFITS[case]
    section = case.split(".")[0]
    line = refusal({**DEMO, section: {**DEMO[section], **changes}})
    assert words in line and "\n" not in line


def test_half_the_size_is_fine() -> None:
    check({**DEMO, "train": {**DEMO["train"], "image_size": 32}}, params.SECTIONS, "params.yaml")


def test_any_stage_refuses_a_mistake_of_another(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps({**DEMO, "compare": {"direction": "back"}}), encoding="utf-8")
    with pytest.raises(StageError, match="section 'compare': key 'direction' is 'back'"):
        params.load(params.Demo, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {seed: 1, seed: 2}", "is not valid YAML"),
        ("train: 1\ntrain: 2", "is not valid YAML"),
        ("[" * 3000, "nested too deeply"),
        ("{a: " * 3000, "nested too deeply"),
        ("? [1, 2]\n: 3", "unknown section"),
        ("- a\n- b", "holds no sections"),
        ("just text", "holds no sections"),
        ("", "holds no sections"),
        ("train: !!python/object:os.system x", "is not valid YAML"),
        ("train: *nowhere", "is not valid YAML"),
        ("7: {}", "unknown section"),
        ("demo: {7: 8}", "section 'demo'"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StageError, match=words) as caught:
        params.read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bytes_", [b"\xff\xfe\x00d", b"demo: \x80", "demo: ä".encode("latin-1")])
def test_a_file_that_is_not_utf8(tmp_path: Path, bytes_: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(bytes_)
    with pytest.raises(StageError, match="not UTF-8"):
        params.read_yaml(path)

"""What MLflow's UI shows: names of runs, sections of metrics, the shared view of the table."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pipeline.core import view, yaml_files
from tests.pipeline.compare.made_up import DIRECTION, metrics
from tests.project import environment

PARAMS = {
    "train": {"lr": 0.001, "seed": 1},
    "evaluate": {"seed": 1},
    "variants": {"xgan": {"architecture": "xgan", "losses": {"cycle": 10}}},
}


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in whose folder ``sub`` params.yaml is committed."""
    folder = tmp_path / "sub"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text(yaml_files.dumps(PARAMS), encoding="utf-8")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], env=environment(), check=True)
    return folder


def change(**sections: dict) -> None:
    text = yaml_files.dumps({**PARAMS, **sections})
    Path("params.yaml").write_text(text, encoding="utf-8")


def test_what_differs_from_the_commit_is_told(committed: Path):
    assert view.changed("xgan") == {}
    rows = {"xgan": {"architecture": "xgan", "losses": {"cycle": 5}}, "new": {"blocks": 2}}
    change(train={"lr": 0.0004, "seed": 1, "ema": 3}, evaluate={"seed": 2}, variants=rows)
    changes = {"losses.cycle": 5, "lr": 0.0004, "ema": 3, "evaluate.seed": 2}
    assert view.changed("xgan") == changes
    assert "losses.cycle" not in view.changed("other")
    del changes["losses.cycle"]
    assert view.changed("new") == changes  # a row that the commit has not is no change


def test_without_a_commit_nothing_is_known_to_differ(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert view.changed("xgan") == {}


def test_a_run_is_called_by_what_it_is():
    assert view.run_name("train@xgan", {}, view.WORKSPACE) == "xgan"
    assert view.run_name("train@xgan", {"lr": 0.1}, "tidy-loot") == "xgan lr=0.1 (tidy-loot)"
    many = view.run_name("train@xgan", dict.fromkeys("abcde", 1), view.WORKSPACE)
    assert many == "xgan a=1, b=1, c=1 +2"
    assert view.run_name("faces", {}, "tidy-loot") == "faces"


def test_a_description_says_how_to_have_it_again():
    plain = view.note("train@xgan", {}, view.WORKSPACE, "abcdef0123456789")
    assert "git checkout abcdef0123 && dvc repro train@xgan" in plain
    changed = view.note("train@xgan", {"lr": 0.1}, "tidy-loot", "abcdef0123456789")
    assert "`lr=0.1`" in changed and "dvc exp apply tidy-loot" in changed


def test_every_metric_has_its_section():
    names = set(view.scores(metrics(1.0)["val"]))
    assert {f"quality/kid_{DIRECTION}", f"quality_controls/kid_copy_{DIRECTION}"} <= names
    assert {f"quality/found_{DIRECTION}", "kept/hair_anime2photos"} <= names
    logged = {view.curve(name) for name in ("cycle", "lr", "held_out.kid_photos2anime")}
    assert logged == {"losses/cycle", "training/lr", "held_out/kid_photos2anime"}
    logged |= names | {view.metric("seconds")}
    assert {name.split("/")[0] for name in logged} <= set(view.SECTIONS)
    assert view.metric("kid") == "kid"


def test_a_strip_becomes_a_square():
    strip = Image.new("RGB", (64, 16))
    strip.paste((255, 0, 0), (32, 0, 64, 16))
    square = view.square(strip)
    assert square.size == (32, 32)
    assert [square.getpixel((31, y)) for y in (0, 15, 16, 31)] == [(0, 0, 0)] * 2 + [
        (255, 0, 0)
    ] * 2
    for size in ((63, 16), (16, 64)):
        assert view.square(Image.new("RGB", size)).size == size


def test_the_shared_view_is_what_mlflow_stores():
    table = json.loads(view.table())
    assert table["orderByKey"] in table["selectedColumns"]
    assert len(view.table()) < 20_000  # MLflow's limit of an experiment's tag
    link = view.link("http://127.0.0.1:5000/", "7")
    assert link.startswith("http://127.0.0.1:5000/#/experiments/7/runs?")
    assert view.link("http://127.0.0.1:5000/", "7", pictures=True).startswith(link)
    sections = {section["uuid"] for section in table["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in table["compareRunCharts"]} <= sections
    assert link.endswith(f"={view.VIEW}") and view.VIEW_TAG.endswith(f".{view.VIEW}")

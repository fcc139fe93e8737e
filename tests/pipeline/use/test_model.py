"""Which model a name means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import ModelError
from pipeline.core.errors import StageError
from pipeline.core.paths import DRAWN
from pipeline.use import model
from tests.pipeline.conftest import write_params
from tests.pipeline.use.pictures import SIZE, TEMPLATE, write_model


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with two variants, of which xgan won."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model, "PRETRAINED", tmp_path / "pretrained")
    write_model(tmp_path / "checkpoints/cyclegan", seed=1)
    write_model(tmp_path / "checkpoints/xgan", seed=2, data=DRAWN)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/leaderboard.csv").write_text("rank,variant\n1,xgan\n2,cyclegan\n")
    return tmp_path


def test_the_shipped_one_or_the_winner_which_is_told(project: Path) -> None:
    chosen, line = model.choose("shipped")
    assert chosen.folder == Path("checkpoints/xgan") and chosen.drawn
    assert line == "no model is shipped: using checkpoints/xgan, the winner here"
    write_model(project / "pretrained", seed=3)
    chosen, line = model.choose("shipped")
    assert (chosen.name, chosen.folder, chosen.drawn) == ("shipped", project / "pretrained", False)
    assert line == ""


def test_the_champion_a_variant_and_any_folder(project: Path) -> None:
    write_model(project / "else where/mine", seed=4)
    chosen = [model.choose(name)[0] for name in ("champion", "cyclegan", "else where/mine")]
    assert [each.name for each in chosen] == ["xgan", "cyclegan", "mine"]
    assert len({each.digest for each in chosen}) == 3
    assert chosen[0].load().image_size == SIZE


def test_those_that_can_be_picked(project: Path) -> None:
    assert list(model.known()) == ["champion", "cyclegan", "xgan"]  # none is shipped
    write_model(project / "pretrained", seed=3)
    (project / "checkpoints/cyclegan/config.json").write_text("no json")
    (project / "checkpoints/recognizer").mkdir()
    known = model.known()
    assert list(known) == ["shipped", "champion", "xgan"]
    assert known["champion"].name == "xgan"


def test_the_template_is_the_models_or_that_of_params(project: Path) -> None:
    align = model.choose("xgan")[0].align
    assert (align.size, align.eye_distance, align.eye_line) == tuple(TEMPLATE.values())
    write_model(project / "old", template=None)
    with pytest.raises(StageError, match="params.yaml is missing"):
        model.choose("old")
    write_params({"align": {"eye_distance": 0.41, "size": 256}})
    align = model.choose("old")[0].align
    assert (align.size, align.eye_distance) == (SIZE, 0.41)


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        ("reports/leaderboard.csv", "shipped", "no model is shipped.*`dvc repro` trains one"),
        ("reports/leaderboard.csv", "champion", "names no winner: `dvc repro`"),
        ("checkpoints/xgan/config.json", "champion", "xgan, the winner, is not here: dvc repro"),
        ("", "xgam", "neither a folder with .* did you mean 'xgan'"),
        ("", "", "neither a folder"),
    ],
)
def test_no_such_model(project: Path, spoil: str, name: str, words: str) -> None:
    if spoil:
        (project / spoil).unlink()
    with pytest.raises(StageError, match=words) as told:
        model.choose(name)
    assert "\n" not in str(told.value)


def test_a_winner_whose_name_leads_elsewhere_is_refused(project: Path) -> None:
    (project / "reports/leaderboard.csv").write_text("rank,variant\n1,../../elsewhere\n")
    with pytest.raises(StageError, match="a name is a letter"):
        model.choose("champion")


@pytest.mark.parametrize("config", ["[]", "{}", '{"image_size": 32, "template": []}', "no json"])
def test_a_config_that_is_none(project: Path, config: str) -> None:
    write_params({})
    (project / "checkpoints/xgan/config.json").write_text(config)
    with pytest.raises(ModelError, match="config.json"):
        model.choose("xgan")


def test_missing_weights(project: Path) -> None:
    (project / "checkpoints/xgan/generator.safetensors").unlink()
    with pytest.raises(ModelError, match="generator.safetensors cannot be read"):
        model.choose("xgan")
    assert json.loads((project / "checkpoints/xgan/config.json").read_text())["data"] == DRAWN

"""Recipes are what their names say, and their table tells means with intervals over seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.domains import DIRECTIONS
from tests.bench import recipes
from tests.bench.recipes import SCORES, half_width, table


def run(kid: float) -> dict:
    scores = {direction: {**dict.fromkeys(SCORES, 0.5), "KID": kid} for direction in DIRECTIONS}
    return {"pairs": 1200, **scores}


def test_every_recipe_is_a_variant_of_its_own() -> None:
    every = recipes.recipes()
    assert len({repr(recipe) for recipe in every.values()}) == len(every)
    assert every["published CycleGAN"].settings.batch_size == 1
    base, more = every["projected"], every["projected, attributes"]
    changed = {**base.variant.losses, "attributes": more.variant.weight("attributes")}
    assert more == replace(base, variant=replace(base.variant, losses=changed))
    assert all(recipe.settings.threads == 1 for recipe in every.values())


def test_interval_is_student_s() -> None:
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(2.484, abs=1e-3)  # 4.303 · 1/√3
    assert half_width([1.0]) != half_width([1.0])  # one seed tells nothing


def test_table_has_a_row_a_direction_and_means_over_seeds() -> None:
    rows = table({"one": [run(0.2)], "three": [run(0.1), run(0.2), run(0.3)]})
    assert rows["seeds"].tolist() == [1, 1, 3, 3]
    assert rows["KID"].tolist() == ["0.20", "0.20", "0.20 ± 0.25", "0.20 ± 0.25"]


class Tried:
    """A bench whose recipes all fit ``rates`` pairs in a second, one rate a round."""

    def __init__(self, rates: list[float]) -> None:
        self.rates = iter(rates)

    def trial(self, recipe: recipes.Recipe) -> float:
        return next(self.rates)

    def pictures(self, path: Path, folders: dict[str, Path]) -> None:
        path.write_text(" ".join(folders))


def test_quickest_trial_sets_the_pairs_once(tmp_path: Path) -> None:
    one = {"patch": recipes.recipes()["patch"]}
    path = tmp_path / "out/pairs.json"
    bench = Tried([1, 3])
    assert recipes.budgets(bench, one, 2, path) == {"patch": 360}
    assert recipes.budgets(bench, one, 2, path) == {"patch": 360}  # no further trial
    with pytest.raises(SystemExit, match="--minutes 2"):
        recipes.budgets(bench, one, 3, path)


def test_what_is_there_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipes.Bench, "load", lambda size: Tried([]))
    for seed in (1, 2):
        (tmp_path / f"patch/{seed}").mkdir(parents=True)
        (tmp_path / f"patch/{seed}/scores.json").write_text(json.dumps(run(seed)))
    (tmp_path / "pairs.json").write_text('{"minutes": 5.0, "pairs": {"patch": 1200}}')
    monkeypatch.setattr("sys.argv", ["recipes", str(tmp_path), "patch", "--seeds", "1,2"])
    recipes.main()
    assert (tmp_path / "pictures-2.png").read_text() == "patch"
    assert "1.50 ± 6.35" in capsys.readouterr().out

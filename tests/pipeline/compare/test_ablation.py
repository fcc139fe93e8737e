"""The table over seeds, and real DVC experiments of a made-up pipeline."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.compare import ablation
from pipeline.core import tracking, yaml_files
from pipeline.core.errors import StageError
from tests.pipeline.conftest import write_params
from tests.project import environment

# Writes what `compare` and `train` write: the KID is the seed for one variant, 5 for the other.
PIPELINE = """
import json, pathlib, ruamel.yaml
seed = ruamel.yaml.YAML(typ="safe").load(open("params.yaml"))["train"]["seed"]
rows = [("good", 10, seed, 0.5 + seed / 10), ("bad", 2000, 5, 0.5)]
for variant, *_ in rows:
    folder = pathlib.Path("checkpoints") / variant
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"key": f"{variant}-{seed}"}))
pathlib.Path("reports").mkdir(exist_ok=True)
head = "rank,variant,parameters,evaluator,data,kid,hair,hair_copy,hair_shuffled,kept"
head += ",yaw_kept_shuffled"
lines = [f"1,{name},{size},e1,d1,{kid},{hair},0.9,0.25,{hair},0" for name, size, kid, hair in rows]
pathlib.Path("reports/leaderboard.csv").write_text("\\n".join([head, *lines]) + "\\n")
with open("@LOG@", "a") as log:
    log.write(f"{seed} ")
"""


def made_up(**kids: list[float]) -> pd.DataFrame:
    """One row a seed and variant, as `collect` gives them."""
    rows = [
        {"seed": seed, "variant": name, "parameters": 1000, "evaluator": "e1", "data": "d1"}
        | {"kid": kid, "hair_kept": 0.5}
        for name, values in kids.items()
        for seed, kid in enumerate(values, 1)
    ]
    return pd.DataFrame(rows)


def test_interval_is_students_t() -> None:
    """s = 1 and t(0.975, 2) = 4.302653: half is 4.302653 / √3."""
    assert ablation.interval(pd.Series([1.0, 2.0, 3.0])) == pytest.approx((2, 2.484138, 3))
    mean, half, n = ablation.interval(pd.Series([1.0, np.nan, 3.0]))
    assert (mean, n) == (2, 2) and half == pytest.approx(12.706205)


def test_a_variant_with_one_seed_has_no_interval() -> None:
    table = ablation.tabulate(made_up(alone=[0.7], both=[1.0, 2.0])).set_index("variant")
    assert table.loc["alone", ["seeds", "kid"]].tolist() == [1, 0.7]
    assert np.isnan(table.loc["alone", "kid_half"])
    assert "| alone | 1,000 | 1 | 0.700 | 0.500 |" in ablation.markdown(table.reset_index())


def test_lowest_mean_kid_comes_first_and_a_failed_one_last() -> None:
    nan = float("nan")
    table = ablation.tabulate(made_up(broken=[nan, nan], b=[2.0, 2.0], a=[0.5, 2.5]))
    assert table["variant"].tolist() == ["a", "b", "broken"]
    assert "| broken | 1,000 | 2 | not measured |" in ablation.markdown(table)


@pytest.mark.parametrize("what", ["evaluator", "data"])
def test_what_was_measured_otherwise_has_a_table_of_its_own(what: str) -> None:
    """A weaker evaluator's low numbers never go before: neither by order nor in one mean."""
    other = made_up(a=[0.1, 0.1]).assign(**{what: "other"})
    table = ablation.tabulate(pd.concat([made_up(b=[1.0, 1.0], a=[2.0, 2.0]), other]))
    assert table[["variant", "kid"]].to_numpy().tolist() == [["b", 1], ["a", 2], ["a", 0.1]]
    text = ablation.markdown(table)
    first, second = text.split("Evaluator ")[1:]
    assert "| b | 1,000 | 2 | 1.000" in first and "| a | 1,000 | 2 | 2.000" in first
    assert "other" in second.splitlines()[0] and "| a | 1,000 | 2 | 0.100" in second
    assert "do not compare" in text and "do not compare" not in ablation.markdown(table[:2])


def test_a_seed_without_a_number_is_told() -> None:
    text = ablation.markdown(ablation.tabulate(made_up(a=[1.0, float("nan"), 3.0])))
    assert "| a | 1,000 | 3 | 2.000 ± 12.706 (2 of 3) | 0.500 ± 0.000 |" in text


def test_seeds_are_whole_numbers() -> None:
    assert ablation.parse_seeds("3, 1,3") == [3, 1]
    with pytest.raises(StageError, match="like 1,2,3; got '1,x'"):
        ablation.parse_seeds("1,x")


def test_that_an_interval_of_two_seeds_means_little_is_said() -> None:
    table = ablation.tabulate(made_up(a=[1.0, 2.0]))
    for seeds, said in (([1], False), ([1, 2], True), ([1, 2, 3], False)):
        text = ablation.summary(table, seeds, "photos2anime", [])
        assert ("means little: take five" in text) == said


def test_without_git_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StageError, match="no git repository with one here: git init"):
        ablation.main()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed DVC project of two quick stages, whose path has a space."""
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write_params({"train": {"seed": 1}})
    outs = ["checkpoints", ablation.LEADERBOARD.as_posix()]
    stages = {
        "data": {"cmd": "cp raw data", "deps": ["raw"], "outs": ["data"]},
        "work": {
            "cmd": "python work.py",
            "deps": ["work.py", "data"],
            "params": ["train"],
            "outs": outs,
        },
    }
    Path("dvc.yaml").write_text(yaml_files.dumps({"stages": stages}))
    Path("work.py").write_text(PIPELINE.replace("@LOG@", str(tmp_path / "log")))
    Path("raw").write_text("like CelebA's own files: in neither git nor DVC")
    monkeypatch.setattr(ablation, "NEEDED", (Path("data"),))
    for command in ("git init -q", "dvc init -q", "dvc repro -q"):
        subprocess.run(command.split(), check=True)
    Path(".gitignore").write_text("/checkpoints\n/reports\n/raw\n/data\n")
    for command in (["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    seconds = {"good-1": 100.0, "good-2": 140.0}
    monkeypatch.setattr(tracking, "newest_metric", lambda key, name: seconds.get(key, float("nan")))
    return folder


def test_experiments_of_all_seeds_become_a_table(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageError, match="no experiments ablation-seed-1, ablation-seed-2: make"):
        ablation.main(seeds="1,2", show=True)
    ablation.main(seeds="1,2")
    report = ablation.REPORT.read_text()
    # t(0.975, 1) = 12.706: halves are 12.706 · s / √2 with s = |difference| / √2
    good = "| good | 10 | 2 | 1.500 ± 6.353 | 0.650 ± 0.635 | 0.650 ± 0.635 | 120 ± 254 |"
    assert good in report
    assert (
        "| bad | 2,000 | 2 | 5.000 ± 0.000 | 0.500 ± 0.000 | 0.500 ± 0.000 | not measured |"
        in report
    )
    assert "seeds 1, 2" in report and "photos2anime" in report and "uncommitted" not in report
    assert good in capfd.readouterr().out
    assert (project.parent / "log").read_text() == "1 2 "  # seed 1 was there already

    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# changed\n")
    ablation.main(seeds="2,1")
    assert (project.parent / "log").read_text() == "1 2 "  # nothing runs twice
    assert "uncommitted changes in params.yaml" in ablation.REPORT.read_text()
    assert "not committed, but part of the experiments: params.yaml" in capfd.readouterr().out


def test_a_failed_experiment_ends_in_one_line(project: Path) -> None:
    Path("work.py").write_text("raise SystemExit(1)")
    with pytest.raises(StageError, match="experiment ablation-seed-7 failed"):
        ablation.main(seeds="7")


def test_a_fresh_clone_says_what_to_do_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = project.parent / "clone"
    subprocess.run(["git", "clone", "-q", str(project), str(clone)], check=True)
    monkeypatch.chdir(clone)
    with pytest.raises(StageError, match="data are not here: `make demo` first"):
        ablation.main(seeds="1")

"""`python -m models.train` from parquet to weights, and what it says when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from models import train
from models.checkpoint import load_translator
from models.errors import ModelError
from models.recognizer.network import Recognizer
from models.recognizer.training import save_recognizer
from models.runtime.files import WEIGHTS
from tests.models.helpers import write_splits

ROOT = Path(__file__).resolve().parents[2]
# What a bare machine lacks: whatever torch, torchvision, numpy, pandas, pyarrow and safetensors do
# not bring.
LACKING = ("dvc", "mlflow", "pydantic", "cv2", "animeface", "scipy", "torchmetrics", "tqdm")


@pytest.fixture
def splits(tmp_path) -> Path:
    write_splits(tmp_path / "splits", "train", "val")
    return tmp_path / "splits"


def arguments(splits: Path, out: Path, *more: str) -> list[str]:
    small = ["--image-size", "32", "--channels", "4", "--blocks", "1", "--batch", "4"]
    same = ["--precision", "fp32", "--device", "cpu"]
    return ["--data", str(splits), "--out", str(out), *small, *same, *more]


def test_writes_weights_losses_and_samples(splits, tmp_path, capsys):
    out = tmp_path / "out"
    train.run(train.parse(arguments(splits, out, "--variant", "xgan", "--images", "8")))
    assert load_translator(out).image_size == 32
    losses = pd.read_csv(out / "losses.csv")
    assert losses["images"].tolist() == [8]
    assert "semantic_consistency" in losses
    assert (out / "samples-00000008.png").stat().st_size > 0
    assert list((out / "state").iterdir()) == []
    assert not (out / "pretraining.csv").exists()
    assert "8 images" in capsys.readouterr().out


def test_minutes_become_a_budget_in_images(splits, tmp_path, capsys):
    train.run(train.parse(arguments(splits, tmp_path / "out", "--minutes", "0.02")))
    budget = int(re.search(r"to repeat: --images (\d+)", capsys.readouterr().out)[1])
    seen = pd.read_csv(tmp_path / "out/losses.csv")["images"].iloc[-1]
    assert budget <= seen < budget + 4


def test_pretraining_writes_its_curve_and_keeps_its_weights(splits, tmp_path):
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    plan.write_text('{"pretraining": 1, "discriminator_channels": 4, "discriminator_layers": 2}')
    train.run(train.parse(arguments(splits, out, "--variant", str(plan), "--images", "8")))
    curve = pd.read_csv(out / "pretraining.csv")
    assert curve["images"].tolist() == [8]
    assert curve["masked_reconstruction"].between(0, 1).all()
    assert (out / "samples-00000000.png").stat().st_size > 0
    assert len(list((out / "state").iterdir())) == 1


def test_unknown_variant_names_the_nearest(splits, tmp_path):
    with pytest.raises(ModelError, match="did you mean 'cyclegan'"):
        train.run(train.parse(arguments(splits, tmp_path, "--variant", "cyclgan")))


def test_a_variant_may_be_a_file_and_ask_a_recognizer(splits, tmp_path):
    plan = tmp_path / "taught.json"
    plan.write_text('{"architecture": "xgan", "losses": {"reconstruction": 1, "teacher": 1}}')
    save_recognizer(tmp_path / "evaluator", Recognizer({"smile": ["no", "yes"]}, 4, 32))
    more = ["--variant", str(plan), "--recognizer", str(tmp_path / "evaluator"), "--images", "8"]
    train.run(train.parse(arguments(splits, tmp_path / "out", *more)))
    assert load_translator(tmp_path / "out").variant.name == "taught"
    assert "teacher" in pd.read_csv(tmp_path / "out/losses.csv")
    with pytest.raises(ModelError, match="no.json is not there"):
        train.variant_keys("no.json")


def test_user_errors_are_one_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "models.train", *arguments(tmp_path / "no", tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no photos-*.parquet in")
    assert done.stderr.count("\n") == 1


def test_it_trains_where_no_other_packages_are(splits, tmp_path):
    script = f"import sys\nsys.modules.update(dict.fromkeys({(*LACKING, 'crawl', 'pipeline')}))\n"
    script += "import runpy\nrunpy.run_module('models.train', run_name='__main__')"
    more = ["--images", "8"]
    command = [sys.executable, "-c", script, *arguments(splits, tmp_path / "out", *more)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/run.json").is_file()


@pytest.mark.parametrize("flags", [["--no-resident"], ["--no-resident", "--workers", "1"]])
def test_streamed_or_in_memory_the_weights_are_the_same(flags, splits, tmp_path):
    for name, more in (("held", ["--resident"]), ("streamed", flags)):
        train.run(train.parse(arguments(splits, tmp_path / name, "--images", "16", *more)))
    held, streamed = (tmp_path / name / WEIGHTS for name in ("held", "streamed"))
    assert held.read_bytes() == streamed.read_bytes()


def test_a_batch_that_cannot_be_split_so_is_refused(splits, tmp_path):
    more = ["--images", "8", "--accumulate", "3"]
    with pytest.raises(ModelError, match="a batch of 4 cannot be split evenly"):
        train.run(train.parse(arguments(splits, tmp_path / "out", *more)))


def test_kid_is_measured_where_its_weights_are_here(splits, tmp_path, monkeypatch, capsys):
    train.run(train.parse(arguments(splits, tmp_path / "out", "--images", "8")))
    held_out = pd.read_csv(tmp_path / "out/held_out.csv")
    assert held_out["images"].tolist() == [0, 8]
    assert held_out[["kid_photos2anime", "cycle_l1_anime"]].notna().all().all()
    capsys.readouterr()

    def absent(*_, **__):
        raise ModelError("efficientnet_lite1 is not here: pip install it")

    monkeypatch.setattr("models.metrics.features.efficientnet.load", absent)
    train.run(train.parse(arguments(splits, tmp_path / "less", "--images", "8")))
    assert "kid_photos2anime" not in pd.read_csv(tmp_path / "less/held_out.csv")
    told = [x for x in capsys.readouterr().err.splitlines() if "is not measured" in x]
    assert told == [
        "KID of held-out images is not measured: efficientnet_lite1 is not here: pip install it"
    ]


def test_a_run_is_repeated_from_its_own_file(splits, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    train.run(train.parse(arguments(splits, first, "--variant", "xgan", "--images", "8")))
    more = ["--data", str(splits), "--out", str(again), "--config", str(first / "run.json")]
    train.run(train.parse(more))
    for file in (WEIGHTS, "losses.csv", "config.json"):
        assert (again / file).read_bytes() == (first / file).read_bytes()
    train.run(train.parse([*more, "--seed", "7"]))  # an option goes before the file
    assert (again / WEIGHTS).read_bytes() != (first / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("{}", "holds no `variant`"),
        ('{"variant": {}, "setings": {}}', "unknown key 'setings'"),
        ('{"variant": {}, "settings": {"lrr": 1}}', "unknown setting 'lrr'"),
        ('{"variant": {}, "settings": {"lr": "big"}}', "`lr` must be of type float"),
        ("{", "cannot read"),
    ],
)
def test_a_plan_that_is_wrong_is_refused(plan, message, splits, tmp_path):
    (tmp_path / "plan.json").write_text(plan)
    more = ["--out", str(tmp_path / "out"), "--config", str(tmp_path / "plan.json")]
    with pytest.raises(ModelError, match=message):
        train.run(train.parse(["--data", str(splits), *more]))

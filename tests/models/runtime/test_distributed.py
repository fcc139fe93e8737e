"""Two processes of gloo on a CPU: what one process gives, resumed and broken off."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from models.errors import ModelError
from models.training.keys import check, training_key
from tests.models.helpers import domain, settings, variant, write_splits
from tests.models.training import train_shared
from tests.project import PATIENCE, ROOT

# Nothing that each process draws for itself, no mask and no noise: so two compare with one.
EXACT: dict[str, Any] = {"flip": False, "shift": 0.0, "return_noise": 0.0}
FEW: dict[str, Any] = {
    "budget_images": 24,
    "batch_size": 8,
    "log_every": 8,
    "lr": 1e-3,
    "pool_size": 50,  # never full here: a full one gives other translations back in each process
}


# Forked off one that has imported torch, as the import takes longer than the run.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.models.training.train_shared"])


def one_of(place: dict[str, str], said: Path, arguments: list[str]) -> None:
    """Train as one of several processes, with the environment that torchrun gives it."""
    os.environ |= place
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    train_shared.main(*arguments)


def shared(count: int, folder: Path, plan: dict[str, Any], stop: str = "") -> list[tuple[int, str]]:
    """Run `plan` in `count` processes; the exit code and standard error of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    arguments = [str(folder / "state"), str(folder), json.dumps(plan), *([stop] if stop else [])]
    running, said = [], [folder / f"said {rank}" for rank in range(count)]
    for rank in range(count):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        env = {"MASTER_ADDR": "127.0.0.1"} | {name: str(value) for name, value in place.items()}
        running.append(PROCESSES.Process(target=one_of, args=(env, said[rank], arguments)))
        running[-1].start()
    for process in running:
        process.join(PATIENCE)
        process.kill()
        process.join()
    return [
        (process.exitcode, path.read_text(encoding="utf-8"))
        for process, path in zip(running, said, strict=True)
    ]


def trained(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "generator.safetensors")


def test_two_processes_give_what_one_gives(tmp_path):
    """Each with its share of a batch in two parts."""
    plan = {"variant": {**EXACT, "penalty": "r1"}, "settings": FEW}
    assert shared(1, tmp_path / "one", plan)[0][0] == 0
    plan = {**plan, "settings": {**FEW, "accumulate": 2}}
    assert [code for code, _ in shared(2, tmp_path / "two", plan)] == [0, 0]
    losses = [pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two")]
    pd.testing.assert_frame_equal(*losses, rtol=1e-4, atol=1e-5)
    one, two = trained(tmp_path / "one"), trained(tmp_path / "two")
    # Adam divides gradients by their size, so where one is all but 0 rounding decides its sign.
    far = torch.cat([(one[name] - two[name]).abs().flatten() for name in one])
    assert far.mean() < 0.05 * FEW["lr"]  # a wrong gradient moves each weight by lr a step
    assert far.max() < 3 * FEW["lr"]


def test_a_lost_process_ends_the_other_with_one_line_and_the_run_goes_on(tmp_path):
    """Resumed, it ends with the bytes of one that nothing happened to: each had its own pool."""
    plan = {
        "variant": {"pretraining": 0.5},
        "settings": {**FEW, "budget_images": 64, "state_every": 16},
    }
    assert [code for code, _ in shared(2, tmp_path / "whole", plan)] == [0, 0]
    (code, said), (lost, _) = shared(2, tmp_path / "broken", plan, stop="32")
    assert lost < 0 < code
    assert "another process of this run is gone" in said.splitlines()[-1]
    assert [code for code, _ in shared(2, tmp_path / "broken", plan)] == [0, 0]
    assert (tmp_path / "broken/resumed_from").read_text() == "32"
    for file in ("generator.safetensors", "history.csv", "pretraining.csv"):
        assert (tmp_path / "broken" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_streamed_to_two_processes_the_images_are_the_same(tmp_path):
    write_splits(tmp_path, "train", count=16)
    written = []
    for resident in (True, False):
        plan = {"variant": {}, "settings": FEW, "shards": str(tmp_path), "resident": resident}
        out = tmp_path / f"resident {resident}"
        assert [code for code, _ in shared(2, out, plan)] == [0, 0]
        written.append((out / "generator.safetensors").read_bytes())
    assert written[0] == written[1]


def test_torchrun_starts_it_and_the_first_process_alone_writes(tmp_path):
    plan = json.dumps({"variant": {}, "settings": {"budget_images": 8, "batch_size": 4}})
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    script = [
        "-m",
        "tests.models.training.train_shared",
        str(tmp_path / "state"),
        str(tmp_path),
        plan,
    ]
    command = [*torchrun, "--nproc-per-node", "2", *script]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("8 of 8 images") == 1
    assert trained(tmp_path)


def test_of_two_under_torchrun_one_is_killed(tmp_path):
    """The other ends with a line, its state is kept, and the same command goes on from it."""
    plan = {"variant": {}, "settings": {**FEW, "budget_images": 64, "state_every": 16}}
    script = ["-m", "tests.models.training.train_shared", str(tmp_path / "state"), str(tmp_path)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += ["2", *script, json.dumps(plan)]

    def run(*stop: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [*command, *stop], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE
        )

    broken = run("32")
    assert broken.returncode != 0 and list((tmp_path / "state").glob("*.pt"))
    ours = [line for line in broken.stderr.splitlines() if "another process of this run" in line]
    assert len(ours) <= 1  # torchrun may end it before it has noticed
    done = run()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "resumed_from").read_text() == "32" and trained(tmp_path)


def test_a_batch_is_split_evenly_or_not_at_all(monkeypatch):
    photos, anime = domain("photos"), domain("anime")
    monkeypatch.setattr("models.training.keys.world_size", lambda: 2)
    check(settings(batch_size=8, accumulate=4), photos, anime)
    with pytest.raises(ModelError, match="batch of 10 .* 2 processes × 2 .* a multiple of 4"):
        check(settings(batch_size=10, accumulate=2), photos, anime)


def test_how_a_batch_is_computed_is_in_the_key_where_it_is_unusual(monkeypatch):
    def key(**changes):
        photos, anime = domain("photos"), domain("anime")
        return training_key(variant("cyclegan"), settings(**changes), photos, anime)

    assert key() == key(accumulate=1, compile=False)
    alone = [key(), key(accumulate=2), key(compile=True)]
    monkeypatch.setattr("models.training.keys.world_size", lambda: 2)
    assert len({*alone, key()}) == 4

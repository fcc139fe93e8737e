"""The training benchmarks count what they say; how fast it is here is for ``make bench``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

from models.training.batches import Batches
from models.variants import Variant
from tests.bench import inference, memory, profile_step, training
from tests.bench.our_step import QUIET, run_steps
from tests.bench.training import YARDSTICK, Row
from tests.models.helpers import variant


def tiny(spec: Variant | None = None, batch: int = 2) -> Row:
    return Row(spec, replace(QUIET, image_size=32, batch_size=batch, precision="fp32"), 2)


def test_engine_and_yardstick_count_the_same_operations() -> None:
    """The published networks, one pair: the engine's step has no pass more and none less."""
    ours = training.configurations(64)["ours, batch 8, auto"].variant
    assert ours
    assert training.flops(tiny(ours)) == training.flops(tiny(batch=1)) > 1e9


def test_moments_lie_before_the_sample_sheet_and_after_the_warm_up(monkeypatch) -> None:
    seen: list[int] = []
    take = Batches.at

    def at(self, *arguments):
        seen.append(arguments[-1])
        return take(self, *arguments)

    monkeypatch.setattr(Batches, "at", at)
    moments: list[int] = []

    def mark() -> None:
        moments.append(len(seen))

    run_steps(variant("cyclegan"), tiny().settings, 6, mark, mark, warm=2)
    assert moments == [2, 8]


def test_streamed_rows_train_on_shards(capsys) -> None:
    row = replace(tiny(variant("cyclegan")), streamed=True)
    one = training.timed(row)
    assert 0 < one.data < one.seconds
    assert "streaming images from their shards" in capsys.readouterr().out


def test_waiting_for_data_is_told_from_the_step(monkeypatch) -> None:
    take = Batches.at

    def slow(self, *arguments):
        time.sleep(0.2)
        return take(self, *arguments)

    monkeypatch.setattr(Batches, "at", slow)
    one = training.timed(tiny(variant("cyclegan")))
    assert 0.4 <= one.data < one.seconds  # of two steps
    assert training.timed(tiny()).data == 0


def test_table_has_a_row_a_configuration_and_the_yardstick_is_one(monkeypatch) -> None:
    rows = {YARDSTICK: tiny(batch=1), "ours": tiny(variant("cyclegan"))}
    monkeypatch.setattr(training, "configurations", lambda size: rows)
    monkeypatch.setattr(training, "peak_of", lambda size, name: "1")
    table = training.training_table(32, rate=1e12, rounds=1)
    assert list(table["configuration"]) == list(rows)
    assert table["ratio"][0] == "1.0×"


def test_a_row_tells_its_own_peak(monkeypatch, capsys) -> None:
    monkeypatch.setattr(training, "configurations", lambda size: {"ours": tiny(variant("xgan"))})
    training.print_peak("32", "ours")
    assert float(capsys.readouterr().out) > 1


def test_peak_is_not_that_of_the_parent() -> None:
    """As that of wait4 would be, which a process begins with."""
    sleeper = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert sleeper.stdin and sleeper.stdout
    sleeper.stdout.readline()
    assert 1 < memory.peak_of_largest(sleeper.pid) < 50 < memory.peak_of_largest(os.getpid())
    sleeper.communicate(b"\n")
    assert memory.peak_of_largest(sleeper.pid) == 0


def test_profile_puts_every_operator_into_a_group() -> None:
    case = profile_step.Case(variant("cyclegan"), tiny().settings, steps=2)
    table = profile_step.profile_table(case).set_index("where")
    assert {"convolutions", "norms", "padding by reflection"} <= set(table.index)
    shares = table["share"].str.rstrip("%").astype(float)
    assert abs(shares.sum() - 100) < 1
    assert profile_step.group_of("aten::convolution_backward") == "convolutions"


def test_inference_has_a_row_a_batch_or_the_reason(monkeypatch) -> None:
    monkeypatch.setattr(inference, "SECONDS", 0.0)
    monkeypatch.setattr(inference, "BATCHES", (1, 2))
    monkeypatch.setattr(inference, "no_compiler", lambda device: "InductorError: no | compiler")
    monkeypatch.setattr(inference, "variants", lambda: {"tiny": variant("cyclegan")})
    monkeypatch.setattr(inference, "devices", lambda: ["cpu"])
    table = inference.inference_table(32)
    assert list(table["how"]) == ["eager", "eager", "compiled"]
    assert list(table["batch"]) == ["1", "2", ""]
    assert table.iloc[2, -1] == "InductorError: no / compiler"

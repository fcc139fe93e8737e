"""torch.compile: a compiler that fails changes nothing, one that works gives the same training."""

from __future__ import annotations

import os
import shutil

import pandas as pd
import pytest
import torch

from models.training import compiling
from models.training.engine import train
from tests.models.helpers import domain, settings, variant

PHOTOS, ANIME = domain("photos"), domain("anime")
HELD_OUT = (domain("photo val", 2), domain("anime val", 2))
SPEC = variant("cyclegan", discriminator_norm="spectral", penalty="r1")


def run(**changes):
    plan = settings(budget_images=16, precision="fp32", log_every=4, **changes)
    return train(SPEC, plan, PHOTOS, ANIME, HELD_OUT)


def test_a_compiler_that_fails_costs_one_line(monkeypatch, capfd):
    """It fails when something first runs, and spectral norms have moved by then."""
    monkeypatch.setenv("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")

    def no_compiler(*args, **options):
        def call(*inputs):
            raise RuntimeError("no C++ compiler found\nlong trace")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    tried = run(compile=True)
    said = [line for line in capfd.readouterr().err.splitlines() if "compile" in line]
    assert said == ["not compiled, which is only slower: RuntimeError: no C++ compiler found"]
    monkeypatch.undo()
    plain = run()
    assert tried.history.equals(plain.history)
    expected = plain.translator.network.state_dict()
    for name, value in tried.translator.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_compiled_networks_train_as_eager_ones(monkeypatch):
    """Through the graph tracer and autograd, up to where machine code would be made: penalties,
    no-gradient passes and saved weights all go on working."""
    compiled = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **options: compiled(f, backend="aot_eager", dynamic=False)
    )
    worked: list[bool] = []
    compile_networks = compiling.compile_networks
    monkeypatch.setattr(
        "models.training.engine.compile_networks",
        lambda *a: worked.append(compile_networks(*a)) or worked[-1],
    )
    ours, eager = run(compile=True), run()
    assert worked == [True]
    pd.testing.assert_frame_equal(ours.history, eager.history, rtol=1e-3, atol=1e-4)
    assert (
        ours.translator.network.state_dict().keys() == eager.translator.network.state_dict().keys()
    )


SLOW = "a minute on one core: set F2A_COMPILE=1 to run it"


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
@pytest.mark.skipif(os.environ.get("F2A_COMPILE") != "1", reason=SLOW)
def test_real_compilation(capfd):
    ours, eager = run(compile=True), run()
    assert "not compiled" not in capfd.readouterr().err
    pd.testing.assert_frame_equal(ours.history, eager.history, rtol=1e-3, atol=1e-4)

"""What `auto` means: on this CPU, on another one, and where the environment says."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from models.errors import ModelError
from models.runtime.device import AUTO_PRECISION, autocast, pick_precision
from models.training.keys import training_key
from models.training.settings import TrainSettings
from tests.models.helpers import domain, settings, variant

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["fast bf16", "no fast bf16"])
def fast(request, monkeypatch) -> bool:
    """A CPU of one kind or the other."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    monkeypatch.delenv(AUTO_PRECISION)
    return request.param


def test_auto_is_what_is_fast_on_this_cpu(fast):
    assert pick_precision("auto", CPU) == ("bf16" if fast else "fp32")


@pytest.mark.parametrize("said", ["bf16", "fp32"])
def test_the_environment_says_what_auto_means_and_nothing_else(fast, said, monkeypatch):
    monkeypatch.setenv(AUTO_PRECISION, said)
    assert pick_precision("auto", CPU) == said
    assert [pick_precision(name, CPU) for name in ("bf16", "fp32")] == ["bf16", "fp32"]


def test_a_gpu_does_not_listen_to_it(monkeypatch):
    monkeypatch.setenv(AUTO_PRECISION, "fp32")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert pick_precision("auto", torch.device("cuda")) == "bf16"


def test_another_word_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv(AUTO_PRECISION, "half")
    with pytest.raises(ModelError, match=f"^{AUTO_PRECISION} is 'half': set it to bf16 or fp32"):
        pick_precision("auto", CPU)
    assert pick_precision("fp32", CPU) == "fp32"


def test_a_key_names_what_auto_means(fast, monkeypatch):
    """A state that was saved in one precision is not resumed in the other."""
    data = domain("photos"), domain("anime")
    monkeypatch.setenv(AUTO_PRECISION, "bf16")
    assert TrainSettings().precision == "auto"
    keys = [
        training_key(variant("cyclegan"), settings(precision=name), *data)
        for name in ("auto", "bf16", "fp32")
    ]
    assert keys[0] == keys[1] != keys[2]


def test_processes_that_a_test_starts_hear_of_it():
    """`make test` decides for every machine what `auto` means, also in a process of its own."""
    script = (
        "from models.runtime.device import *; print(pick_precision('auto', pick_device('cpu')))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert told.stdout.strip() == pick_precision("auto", CPU)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_precision_decides_what_networks_compute_in(precision):
    with autocast(CPU, precision):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)

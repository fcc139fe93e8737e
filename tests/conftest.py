"""What no test may depend on: this machine, its settings, and the tests that ran before.

Set before anything imports torch, and inherited by every process that a test starts. Both defaults
can be overridden for a whole run: `OMP_NUM_THREADS=2 FACE2ANIME_AUTO_PRECISION=bf16 make test`.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.project import NOT_OURS

for name in [name for name in os.environ if name.startswith(NOT_OURS)]:
    del os.environ[name]
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]  # every server of the tests is on loopback
os.environ |= {"MPLBACKEND": "agg", "NO_COLOR": "1", "COLUMNS": "100"}
# The CPU does not decide how networks train: a test that is about "auto" fakes the CPU, too.
os.environ.setdefault("FACE2ANIME_AUTO_PRECISION", "fp32")
# Tiny networks are fastest on one thread, above all where tests share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Neither a slow machine nor what an earlier run found decides what is tried.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("same")


def seed() -> None:
    """Every global random state as at the start, whatever ran before."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file begins, whatever the order, so that no worker waits for it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    seed()


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """The working directory and torch's threads outlive no test that changes them."""
    folder, torch = Path.cwd(), sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    yield
    os.chdir(folder)
    if torch:
        torch.set_num_threads(threads)

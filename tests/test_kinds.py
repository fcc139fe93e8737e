"""The tests that docs/kinds.md names are there."""

from __future__ import annotations

import ast
import re

from tests.project import ROOT

PAGE = ROOT / "docs/kinds.md"
KINDS = 10


def named_tests() -> list[tuple[str, str]]:
    """File and function of each row of the first table."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)


def test_every_kind_names_a_test_that_is_there() -> None:
    named = named_tests()
    assert len(set(named)) == KINDS
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"docs/kinds.md: {file} has no {function}"

"""The tests that docs/kinds.md and docs/guard.md name are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.project import ROOT

KINDS, GUARD = "docs/kinds.md", "docs/guard.md"
HOW_MANY_KINDS = 10
TEST = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def named_tests(page: str) -> dict[str, list[tuple[str, str]]]:
    """Row of a table → file and function of the tests in its last cell.

    A `::NAME` alone is of the file before it. Headers are no rows.
    """
    lines = (ROOT / page).read_text("utf-8").splitlines()
    rows = [line for line, next_one in zip(lines, [*lines[1:], ""], strict=True)
            if re.match(r"\| (?!---)", line) and not next_one.startswith("|---")]  # fmt: skip
    named: dict[str, list[tuple[str, str]]] = {row: [] for row in rows}
    for row in rows:
        file = ""
        for path, name in TEST.findall(row.rsplit(" | ", 1)[1]):
            file = path or file
            named[row].append((file, name))
    return named


@pytest.mark.parametrize("page", [KINDS, GUARD])
def test_every_test_that_a_row_names_is_there(page: str) -> None:
    for file, function in {each for tests in named_tests(page).values() for each in tests}:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"{page}: {file} has no {function}"


def test_every_kind_has_a_test_of_its_own() -> None:
    assert len({test for tests in named_tests(KINDS).values() for test in tests}) == HOW_MANY_KINDS


def test_every_case_names_a_test() -> None:
    named = named_tests(GUARD)
    assert len(named) > 70 and [row for row, tests in named.items() if not tests] == []

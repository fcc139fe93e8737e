"""The drawings of the pipeline: narrow, of what DVC knows, and those of the pages are current."""

from __future__ import annotations

import re
from itertools import pairwise

import networkx
import pytest
from dvc.repo import Repo

from pipeline import dag
from tests.project import ROOT


@pytest.fixture(scope="module")
def known() -> networkx.DiGraph:
    """Every dependency that DVC knows, stage → what it reads."""
    graph = Repo(str(ROOT)).index.graph
    return networkx.relabel_nodes(graph, lambda each: each.addressing.partition("@")[0])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> networkx.DiGraph:
    monkeypatch.chdir(ROOT)
    return dag.arrows()


def test_only_implied_arrows_are_left_out(known, drawn):
    assert set(drawn) == set(known) and set(drawn.edges) < set(known.edges)
    assert {name: networkx.descendants(drawn, name) for name in drawn} == {
        name: networkx.descendants(known, name) for name in known
    }


def test_it_fits_a_terminal_and_names_every_stage(drawn):
    lines = dag.ascii_art(drawn).splitlines()
    assert max(map(len, lines)) <= 80
    assert {word for line in lines for word in re.findall(r"\w+", line)} == set(drawn)
    above = {name: next(n for n, line in enumerate(lines) if f" {name} " in line) for name in drawn}
    assert all(above[read] < above[reader] for reader, read in drawn.edges)


def test_the_drawing_in_the_docs_is_current(drawn):
    (block,) = re.findall(r"```mermaid\n(.*?)\n```", page("docs/stages.md"), re.S)
    assert block == dag.mermaid(drawn), "put what `make dag DAG=--mermaid` prints there"


def test_the_drawing_in_the_readme_has_every_arrow_and_no_other(known, drawn):
    (block,) = re.findall(r"```mermaid\n(.*?)\n```", page("README.md"), re.S)
    chains = [re.sub(r"\[.*?\]", "", line).split("-->") for line in block.splitlines()[1:]]
    arrows = {(b.strip(), a.strip()) for chain in chains for a, b in pairwise(chain)}
    assert set(drawn.edges) <= arrows <= set(known.edges)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")

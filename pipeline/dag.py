"""The pipeline as a drawing: ``make dag``, and the one in ``docs/stages.md``.

`dvc dag` draws every dependency, in some 400 columns. Here an arrow is left out where a longer way
goes from one end to the other, and the variants of a stage are one.
"""

from __future__ import annotations

from typing import Annotated

import networkx
import typer

from pipeline.core import stage


def arrows() -> networkx.DiGraph:
    """Stage → the stages whose outputs it reads, as DVC knows them, without the implied ones.

    Raises DvcException outside a DVC project.
    """
    from dvc.repo import Repo  # a second

    known = Repo().index.graph
    called = {each: each.addressing.partition("@")[0] for each in known}
    return networkx.transitive_reduction(networkx.relabel_nodes(known, called))


def ascii_art(graph: networkx.DiGraph) -> str:
    """``graph`` as `dvc dag` draws it, with boxes; what is read stands above its readers."""
    from dvc.dagascii import draw

    return draw(graph.nodes, graph.edges)


def mermaid(graph: networkx.DiGraph) -> str:
    """``graph`` in the language that GitHub draws, in the form of `dvc dag --mermaid`."""
    lines = sorted(f"\t{read}-->{reader}" for reader, read in graph.edges)
    return "\n".join(["flowchart TD", *lines])


def main(
    drawn: Annotated[bool, typer.Option("--mermaid", help="For Markdown, not a terminal.")] = False,
) -> None:
    """Draw the stages of dvc.yaml, each below what it reads."""
    graph = arrows()
    print(mermaid(graph) if drawn else ascii_art(graph))


if __name__ == "__main__":
    stage.run(main)

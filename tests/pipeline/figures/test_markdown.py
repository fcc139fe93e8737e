"""What a stranger wrote is shown as it reads, whatever it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.figures.markdown import LONGEST, code, escape, grid, plain

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# Above all what Markdown, HTML and YAML mean something by.
TEXTS = st.text(
    st.sampled_from("\n\r\t \\`*_{}[]()<>#+-.!|~&:;'\"/=1ab—é\u202e\x00\ud800"), max_size=30
)
HOSTILE = [
    "<script>alert(1)</script>", "a | b", "a\n| b | 1 |\n\n# title", "---\nlicense: mit\n---",
    "[x](javascript:alert(1))", "![x](http://a.example/x.png)", "<!-- ", "&lt;b&gt;", "`` ` ``",
    "\\", "\\|", "| --- |", "***", "# title", "- item", "1. item", "2)", "~~~", "---", "===", "+",
    "CC-BY-4.0", "a_b_c",
    "<a href='x'>", "\u202egnp.exe", "x" * 1000,
]  # fmt: skip


def hostile(test):
    for text in HOSTILE:
        test = example(text)(test)
    return given(TEXTS | st.text(max_size=30))(test)


def shown(tokens: list[Token]) -> list[str]:
    """What is read in each paragraph or cell, less all that has a meaning; it must have none."""
    texts = []
    for token in tokens:
        for child in token.children or []:
            assert child.type in ("text", "text_special", "code_inline"), child
        if token.type == "inline":
            texts.append("".join(child.content for child in token.children or []))
    return texts


@hostile
def test_a_text_is_one_line_that_reads_as_it_was_written(text: str) -> None:
    line = plain(text)
    assert "\n" not in line and len(line) <= LONGEST
    for before in ("x ", ""):
        tokens = READER.parse(f"- {before}{escape(text)}")
        assert "".join(shown(tokens)).strip() == f"{before}{line}".strip()
        wanted = ["bullet_list_open", "list_item_open", "paragraph_open", "inline"]
        if before or line:
            assert [token.type for token in tokens][:4] == wanted and len(tokens) == 7


@hostile
def test_a_cell_stays_one_cell(text: str) -> None:
    tokens = READER.parse(grid(["a", "b"], [[text, 1], ["last", 2]]))
    assert shown(tokens) == ["a", "b", plain(text), "1", "last", "2"]
    assert {token.type for token in tokens if token.type.startswith("html")} == set()


@hostile
def test_code_is_shown_as_it_is(text: str) -> None:
    line = plain(text)
    if not line:
        return
    (paragraph,) = [token for token in READER.parse(f"x {code(text)}.") if token.type == "inline"]
    assert [child.type for child in paragraph.children or []] == ["text", "code_inline", "text"]
    assert (paragraph.children or [])[1].content.strip() == line


@pytest.mark.parametrize(
    "text", ["CC-BY-4.0", "75.0 %", "-0.5", "Danbooru 2024", "https://a.example/licence"]
)
def test_what_means_nothing_is_not_touched(text: str) -> None:
    assert escape(text) == text


def test_numbers_have_separators() -> None:
    assert re.search(r"\| a \| 1,234 \|", grid(["x", "y"], [["a", 1234]]))

"""Strangers' texts in Markdown: shown as they are, and nothing but shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.figures.markdown import code, grid, plain

quickly = settings(max_examples=200, deadline=None, derandomize=True, database=None)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text("<>&[]()!`*_#|\\-~$:/.@ \n\rhtps", max_size=40),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a\n\n# heading\n| b | c |",
            "[x](javascript:alert(1))",
            "![x](http://evil.example/x.png)",
            "https://evil.example www.evil.example me@evil.example",
            "&lt;b&gt; &#60;",
            "*bold* _it_ `code` ~~no~~",
            "a\u2028b\u202ec",
        ]
    ),
)


def cells(markdown: str) -> list[str]:
    """The texts that a reader sees; fails where there is anything but text, code and tables."""
    renderer = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    html = renderer.render(markdown)
    tags = set(re.findall(r"</?([a-zA-Z][^\s/>]*)", html))
    assert tags <= {"p", "table", "thead", "tbody", "tr", "th", "td", "code"}, html
    blocks = [token.children or [] for token in renderer.parse(markdown) if token.type == "inline"]
    return [" ".join("".join(token.content for token in block).split()) for block in blocks]


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@quickly
@given(TEXTS)
def test_a_strangers_text_is_shown_as_it_is(text: str) -> None:
    assert "\n" not in plain(text)
    assert cells(f"x {plain(text)} x") == [one_line(f"x {one_line(text)} x")]
    assert "".join(cells(plain(text))) == one_line(text)


@quickly
@given(TEXTS, TEXTS)
def test_a_table_keeps_its_cells(first: str, second: str) -> None:
    table = grid(["a", "b"], [[plain(first), plain(second)], [plain(second), 1234]])
    assert len(table.splitlines()) == 4
    wanted = ["a", "b", one_line(first), one_line(second), one_line(second), "1,234"]
    assert cells(table) == wanted


@quickly
@given(TEXTS)
def test_code_is_one_line_of_code(text: str) -> None:
    assert "\n" not in code(text)
    (found,) = cells(f"x {code(text)} x")
    assert found.replace(" ", "") == f"x{one_line(text)}x".replace(" ", "")


@pytest.mark.parametrize("text", ["CC-BY-4.0", "the demo", "MIT, drawn by this project"])
def test_plain_words_stay_readable(text: str) -> None:
    assert plain(text) == text

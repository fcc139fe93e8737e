"""A wrong value of any key of any source is one line that names source and key."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from crawl.errors import CrawlError
from crawl.names import NAME
from crawl.sources.base import SOURCES, parse_source

VALUES = {
    "name": "mine", "url": "https://a.example", "path": "local/x.zip", "tags": "1girl",
    "item": "article", "image": "img",
}  # fmt: skip
KEYS = [(kind, field.name) for kind, source in SOURCES.items() for field in fields(source)]


def declared(kind: str, **changes: Any) -> dict[str, Any]:
    """A source of that kind with all that it needs, and the changes."""
    needed = {f.name for f in fields(SOURCES[kind]) if f.default is MISSING}
    return {"type": kind, **{name: VALUES[name] for name in needed}, **changes}


def refusal(declaration: dict[str, Any]) -> str:
    with pytest.raises(CrawlError) as caught:
        parse_source(declaration)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_needed_is_enough(kind: str) -> None:
    assert parse_source(declared(kind)).name == "mine"


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_a_wrong_value(kind: str, key: str) -> None:
    wrong: list[Any] = [[1], {"a": 1}, 1.5, float("inf"), float("nan"), -1, 2**70]
    wrong += ["\n", "a\nb", "a\0b", "x" * 5000]
    if next(f for f in fields(SOURCES[kind]) if f.name == key).default is MISSING:
        wrong += [None, ""]
    if key in ("limit", "before"):
        wrong += [True, "8", 0]
    for value in wrong:
        line = refusal(declared(kind, **{key: value}))
        assert key in line and len(line) < 600, (value, line)


@pytest.mark.parametrize(
    "kind", [["danbooru"], {"a": 1}, None, 7, True, "", "Danbooru", "dan\nbooru"]
)
def test_a_type_that_is_none(kind: object) -> None:
    assert "unknown type" in refusal({"name": "mine", "type": kind})


@pytest.mark.parametrize("name", ["a b", "../x", "a/b", "", "\n", "ä", 7, None, ["a"], "x" * 99])
def test_a_name_that_is_none(name: object) -> None:
    assert refusal(declared("danbooru", name=name)).startswith("source ")


def test_a_pattern_is_told_as_it_stands() -> None:
    """In lower case it would allow other names than it does."""
    assert f"'^{NAME}$'" in refusal(declared("danbooru", name="A b")) and NAME.lower() != NAME

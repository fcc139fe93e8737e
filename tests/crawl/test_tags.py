"""Tags in every spelling that sites have for them, and the filters that must know them all."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawl import tags
from crawl.posts import Post
from crawl.sources import discover
from crawl.tags import Wanted, adult, is_adult, parse
from pipeline.core.exclude import Exclusions
from tests.crawl.archives.test_archives import FILES, archive, structs, write_parquet
from tests.crawl.conftest import quick
from tests.crawl.misbehaving import Site, body
from tests.crawl.sources.boorus import KINDS, SITE, declared, serve, zerochan_row

quickly = settings(max_examples=200, deadline=None, derandomize=True, database=None)
PREFIXES = ["", ":", "Theme:", "theme: ", "META:", "Fetish :", "theme:sub:", "\uff1a"]
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(ord("!"), ord("~") + 1)})
ODD: list[Callable[[str], str]] = [
    str,
    html.escape,
    lambda text: text.translate(WIDE),
    lambda text: f" {text}_",
    lambda text: text + "\u200b",
]


@st.composite
def spellings(draw: st.DrawFn, name: str) -> str:
    """``name``, words joined by _, as some site might write it."""
    gap = draw(st.sampled_from([" ", "_", "-", "__", " _ ", "\u00a0", "+"]))
    cased = draw(st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))
    whole = draw(st.sampled_from(PREFIXES)) + cased(name.replace("_", gap))
    odd: Callable[[str], str] = draw(
        st.sampled_from(
            [
                str,
                html.escape,
                lambda t: t.translate(WIDE),
                lambda t: f" {t}_",
                lambda t: t + "\u200b",
            ]
        )
    )
    return odd(whole)


@quickly
@given(st.data())
def test_every_spelling_of_an_adult_tag_is_known(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(tags._ADULT)))
    spelled = data.draw(spellings(name))
    assert is_adult(spelled), spelled
    joined = "_".join(spelled.split())  # as the table of posts has it
    assert adult(f"1girl {joined} smile") == ([joined] if joined else [])


FRAMES = ["#{}", "{},", '"{}"', "\u201c{}\u201d", "[{}]", "({})", "*{}*", "{}!", "{}.", "{}\ufe0f"]
FRAMES += ["Theme%3A{}", "%3a{}", "&amp;#58;{}", "theme={}", "smile,{}", "smile;_{}", "{}|smile"]
FRAMES += ["smile\u3001{}", "smile\uff0c{}", "{}:yes"]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["Ecchi", "partially-Nude", "R18+", "R-18G"])
def test_what_stands_around_a_tag_is_none_of_it(frame: str, name: str) -> None:
    spelled = frame.format(name)
    assert adult(f"1girl {spelled}") == [spelled]
    assert Wanted([name]).found(spelled) or frame == "{}:yes"


@pytest.mark.parametrize("spelled", ["rating=explicit", "rating_questionable", "Rating:_Mature"])
def test_a_rating_among_tags_is_one(spelled: str) -> None:
    assert is_adult(spelled)


@quickly
@given(st.data())
def test_every_spelling_of_a_tag_that_somebody_named_is_found(data: st.DataObject) -> None:
    name = data.draw(st.from_regex(r"[a-z]{3,8}(_[a-z]{2,8}){0,2}", fullmatch=True))
    named, spelled = data.draw(spellings(name)), data.draw(spellings(name))
    found = Wanted([named]).found("_".join(spelled.split()))
    prefixes = parse(named).prefix, parse(spelled).prefix
    assert bool(found) == (not all(prefixes) or prefixes[0] == prefixes[1]), (named, spelled)
    assert not Wanted([named]).found(f"x{name} {name}x 1girl")


@quickly
@given(st.text(max_size=20))
def test_any_text_is_some_tag_and_is_itself(text: str) -> None:
    tag = parse(text)
    assert tag == parse(text) and not set(tag.name) & {" ", "\n"}
    if text.split():
        assert Wanted([text]).found("_".join(text.split()))


def test_faces_and_series_are_no_prefixes_of_what_they_are_not() -> None:
    for fine in ["Nudelman", "blood_type_(manga)", "bra-ket", ":d", ";)", "Text:_Good_Morning"]:
        assert not is_adult(fine), fine
    for fine in ["rating_10/10", "rating=safe", "nsfw:no", "k-on!", "fate/zero", "100%", "sm,_x"]:
        assert not is_adult(fine), fine
    assert is_adult("rating:questionable") and not is_adult("rating:safe")
    assert not Wanted(["artist:somebody"]).found("character:somebody else")
    assert Wanted([":d"]).found(":D") and not Wanted([">:)"]).found(":)")


ADULT = [":Ecchi", "Theme:Ecchi", "theme:nude", "PARTIALLY_nude", "Partially-Nude", "Meta: Gore"]


def test_zerochan_lists_no_adult_entry_whatever_the_spelling(site: Site, connect: Any) -> None:
    rows = [zerochan_row(n, tags=["Female", tag]) for n, tag in enumerate(ADULT, 1)]
    serve(site, KINDS["zerochan"], [*rows, zerochan_row(99)])
    frame, counts = discover([declared(KINDS["zerochan"])], connect(quick()))
    assert list(frame["post_id"]) == ["99"]
    assert counts == {"booru/listed": 1, "booru/dropped_rating": len(ADULT)}
    assert not [seen for seen in site.seen if seen.path.startswith(("/1?", "/2?"))]


def test_where_a_site_rates_nothing_its_tags_tell(site: Site, connect: Any, tmp_path: Any) -> None:
    items = [
        f'<article id="p{n}"><img src="/{n}.png"><i class="tag">{tag}</i></article>'
        for n, tag in enumerate([*ADULT, "smile"])
    ]
    site.faults["/"] = body("".join(items).encode())
    gallery = {"name": "gallery", "type": "gallery", "url": f"{SITE}/", "rating": ""}
    write_parquet(tmp_path / "set.parquet", structs(FILES), tags=pa.array([ADULT[:1], ["x"]] * 10))
    table = archive(tmp_path / "set.parquet", tags_column="tags")
    _, counts = discover([gallery, table], connect(quick()))
    assert counts == {
        "gallery/listed": 1,
        "gallery/dropped_rating": len(ADULT),
        "set/listed": 10,
        "set/dropped_rating": 10,
    }


@pytest.mark.parametrize("named", ["comic", "Comic", "meta:comic", "Meta: Comic"])
def test_exclude_tags_knows_every_spelling(named: str) -> None:
    exclude = Exclusions(tags=[named])
    for spelled in ("comic", "COMIC", ":Comic", "Meta:Comic", "meta:_comic"):
        post = Post(url=f"{SITE}/1.png", source="s", post_id="1", tags=f"1girl {spelled}")
        assert exclude.verdict(post) == "dropped_tags", spelled
    assert not exclude.tagged("comics 4koma") and not Exclusions().tagged("comic")

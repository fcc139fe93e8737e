"""SVG charts for the page: what is in them, in words as well, and the same bytes again."""

import math
import re

import pandas as pd

from pipeline.figures import charts


def test_intervals_mark_what_is_off_the_chart_and_leave_out_nan():
    rows = [("good", 1.0, 0.9, 1.1, False), ("far", 300.0, math.nan, math.nan, True)]
    broken = ("broken", math.nan, 0.0, 0.0, False)
    drawn = charts.intervals("KID", [*rows, broken], limit=2.0, root=True)
    assert ">300, off the chart<" in drawn and ">1<" in drawn
    assert "broken" not in drawn
    assert charts.intervals("KID", [broken], limit=2.0) == ""


def test_intervals_tell_values_as_they_are_told_to():
    drawn = charts.intervals("Kept", [("a", 0.8, 0.7, 0.9, False)], 1.0, told="{:.0%}".format)
    assert ">80%<" in drawn and ">100%<" in drawn
    assert 'aria-label="Kept. Dots with 95 % intervals: a 80%"' in drawn


def test_a_curve_has_a_chart_of_its_own_with_its_title_in_words():
    frame = pd.DataFrame({"kid": [3.0, 2.0, 1.0], "lr": [1.0, 1.0, 0.0]}, index=[0, 100, 200])
    kid, rate = charts.curves({"a": frame, "b": frame[["kid"]]}, {"kid": "How far off"})
    assert ">How far off<" in kid and ">lr<" in rate
    assert "a from 3 to 1; b from 3 to 1" in kid and ">b<" not in rate


def test_charts_are_the_same_bytes_again_and_show_names_as_they_are():
    frame = pd.DataFrame({"cost $x$ < 1": [1.0, 2.0, 4.0]}, index=[0, 100, 200])
    drawn = [charts.curves({"a$b$": frame, "other": frame[:1]}, {}) for _ in range(2)]
    assert drawn[0] == drawn[1]
    (svg,) = drawn[0]
    assert ">cost $x$ &lt; 1<" in svg and ">a$b$<" in svg
    assert "other" not in svg  # one value is no line
    assert charts.curves({"other": frame[:1]}, {}) == charts.curves({}, {}) == []


def test_shares_say_every_bar():
    values = {"photos": {"black": 0.3, "red": 0.7}, "anime": {"red": 0.5, "blue": 0.5}}
    drawn = charts.shares("Hair", values)
    assert "photos: black 30%, red 70%; anime: red 50%, blue 50%" in drawn
    assert all(f">{name}<" in drawn for name in ("black", "red", "blue", "photos", "anime"))
    assert charts.shares("Hair", {"photos": {}, "anime": {}}) == ""


def test_a_long_title_is_broken_into_lines_and_no_name_is_given_twice_on_a_page():
    one, two = (charts.shares(f"{'word ' * 20}{n}", {"a": {"x": 0.5}}) for n in "12")
    titles = re.findall(r">((?:word ?)+[12]?)<", one)
    assert len(titles) > 2 and max(map(len, titles)) <= charts.LETTERS
    named = [set(re.findall(r' id="([\w.]+_\d+)"', drawn)) for drawn in (one, two)]
    assert not named[0] | named[1]

"""The ranking rule, the checks, error lines and the page."""

import copy
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.compare import __main__ as compare
from pipeline.compare import ranking, report
from pipeline.core import params, stage
from pipeline.core.errors import StageError
from pipeline.figures import charts, sheets


@pytest.fixture
def page(tmp_path: Path) -> str:
    variants = {"cyclegan": metrics(1.0), "x<gan": metrics(2.0, hair=0.2)}
    curve = pd.DataFrame({"images": [0, 100, 200], "cycle": [0.5, 0.3, np.nan]})
    (tmp_path / "plots/train").mkdir(parents=True)
    curve.to_csv(tmp_path / "plots/train/cyclegan.csv", index=False)
    (tmp_path / "plots/held_out").mkdir()
    curve = pd.DataFrame({"images": [100, 200], "kid_photos2anime": [0.9, 0.7]})
    curve.to_csv(tmp_path / "plots/held_out/cyclegan.csv", index=False)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/dedupe.json").write_text(json.dumps({"removed": {"exact": 1234}}))
    (tmp_path / "datasets/photos").mkdir(parents=True)
    (tmp_path / "datasets/photos/README.md").touch()
    picture = np.zeros((64, 64, 3), np.uint8)
    for name in ("sheets/evaluate/cyclegan/photos2anime.png", "sheets/dedupe/pairs.png"):
        sheets.contact_sheet(tmp_path / name, [picture])
    board = ranking.leaderboard(variants, "photos2anime")
    result = {
        "checks": {row["variant"]: ranking.checks(row) for _, row in board.iterrows()},
        "winner": {"cyclegan": variants["cyclegan"]["test"]},
    }
    return report.page(board, result, "photos2anime", tmp_path)


def test_page_needs_nothing_from_outside(page: str):
    page = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)  # names, not addresses to load from
    addresses = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"'\s)>]+)""", page)
    addresses.remove("datasets/photos/README.md")  # a link to what lies beside the page
    outside = [a for a in addresses if not a.startswith(("data:image/", "#"))]
    assert not outside and sum(a.startswith("data:image/") for a in addresses) == 2
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_page_shows_every_variant_curve_and_stage(page: str):
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    assert "<td>cyclegan</td>" in table and "<td>x&lt;gan</td>" in table
    assert "x<gan" not in page  # names are escaped everywhere
    assert "cycle, from 0.3 to 0.5" in page
    assert "kid_photos2anime, from 0.7 to 0.9" in page
    assert "removed › exact" in page and "1,234" in page
    assert "✗ not shown: keeps hair colour" in page


def test_page_text_has_an_alternative_for_every_picture(page: str):
    assert all('alt="' in tag for tag in re.findall(r"<img[^>]*>", page))
    assert all("aria-label=" in tag for tag in re.findall(r"<svg[^>]*>", page))


def test_settings_that_the_page_tells_to_change_exist(page: str):
    changes = re.findall(r"-S (\w+)\.(\w+)=", page)
    assert changes
    assert all(key in params.SECTIONS[section].model_fields for section, key in changes)


def test_chart_marks_what_is_off_it_and_leaves_out_nan():
    rows = [("good", 1.0, 0.9, 1.1, False), ("far", 300.0, 290.0, 310.0, True)]
    drawn = charts.intervals("KID", [*rows, ("broken", math.nan, 0.0, 0.0, False)], limit=2.0)
    assert ">300, off the chart<" in drawn and ">1<" in drawn
    assert "broken" not in drawn


def test_charts_are_the_same_bytes_again_and_show_names_as_they_are():
    frame = pd.DataFrame({"cost $x$ < 1": [1.0, 2.0, 4.0]}, index=[0, 100, 200])
    drawn = [charts.curves({"a$b$": frame, "other": frame[:1]}) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert ">cost $x$ &lt; 1<" in drawn[0] and ">a$b$<" in drawn[0]
    assert "other" not in drawn[0]  # one value is no line
    assert charts.curves({"other": frame[:1]}) == charts.curves({}) == ""


def test_stage_writes_page_table_and_result(tmp_path, monkeypatch, fake_run, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps({"compare": {}, "variants": {"a": {}, "b": {}}}))
    stage.METRICS.mkdir(parents=True)
    for name, kid in (("a", 2.0), ("b", 1.0)):
        (stage.METRICS / f"{name}.json").write_text(json.dumps(metrics(kid)))
    sizes = {"train": 8, "val": 1, "test": 1}
    (stage.METRICS / "split.json").write_text(json.dumps({"anime": sizes, "photos": sizes}))
    (stage.METRICS / "dedupe.json").write_text(json.dumps({"dropped": 3}))
    compare.main()
    overview = json.loads(compare.SUMMARY.read_text())
    assert overview["anime"] == 10 and overview["duplicates_dropped"] == 3
    assert overview["b"]["kid"] == 1.0
    result = json.loads(compare.RESULT.read_text())
    assert list(result["winner"]) == ["b"] and set(result["checks"]) == {"a", "b"}
    assert list(pd.read_csv(compare.LEADERBOARD)["variant"]) == ["b", "a"]
    assert "<h1>" in compare.PAGE.read_text()
    assert fake_run.tags == {"winner": "b"}
    printed = capsys.readouterr().out
    compare.main(show=True)
    assert capsys.readouterr().out == printed


def test_show_before_the_first_run_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="leaderboard.csv is missing: dvc repro compare"):
        compare.main(show=True)

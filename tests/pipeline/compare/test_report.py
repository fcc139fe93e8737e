"""What the page shows, and the stage that writes it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline.compare import __main__ as compare
from pipeline.compare import facts, ranking, report
from pipeline.core import origin, params, stage, tracking
from pipeline.core.errors import StageError
from pipeline.core.paths import CHECKPOINTS
from tests.pipeline.compare.conftest import LONG
from tests.pipeline.compare.made_up import DIRECTION, board, estimate, metrics


def rendered(variants: dict, folder: Path) -> str:
    ranked = board(variants)
    best = ranked["variant"].iloc[0]
    result = {"checks": {}, "winner": {best: variants[best]["test"]}}
    return report.page(ranked, result, DIRECTION, {}, folder)


def words(html: str) -> str:
    """The text that is read, each space once."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_page_needs_nothing_from_outside(page: str):
    page = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)  # names, not addresses to load from
    addresses = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"'\s)>]+)""", page)
    assert not [a for a in addresses if not a.startswith(("data:image/", "#"))]
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_the_first_screen_shows_the_same_photos_through_every_variant(page: str):
    first = page[: page.index("<h2>Which is best</h2>")]
    rows = re.findall(r'<div class="strip".*?</div>', first, re.S)
    alts = [re.findall(r'alt="([^"]*)"', row) for row in rows]
    assert [len(row) for row in alts] == [8, 8, 8, 8]
    assert (
        alts[0][7] == "photo 8, held out" and alts[2][0] == "photo 1 as anime picture, by x&lt;gan"
    )
    assert "drawn demo data" in first and "1 May 2026" in first and "abc1234" in first


def test_a_tie_is_called_a_tie(page: str):
    table = page[page.index('<tr class="best">') : page.index("How to read")]
    assert table.count("1, tie") == 2 and "3, few faces" in table
    assert "cyclegan and x&lt;gan tie for the first place of 3 variants" in words(page)


def test_every_number_has_its_interval_chance_level_and_perfect_value(page: str):
    table = page[page.index("<h2>All measures</h2>") : page.index("<h2>cyclegan on test</h2>")]
    rows = [words(row).split(" ", 1)[1].strip() for row in table.split("<tr>")[2:]]
    (kid,) = [row for row in rows if row.startswith("KID")]
    assert "1 0.95 to 1.05" in kid and "4" in kid and kid.endswith("0 0")  # copy, real, perfect
    (hair,) = [row for row in rows if row.startswith("Hair kept")]
    assert "80% 75% to 85%" in hair and "25%" in hair and hair.endswith("100%")
    assert any(row.startswith("Turn of the head kept (rank correlation) 0.4") for row in rows)
    how = words(page[page.index("How to read") : page.index('<div class="charts">')])
    assert all(text in how for text in ("0 is perfect", "96% of real", "25% is chance"))


def test_what_was_not_measured_is_left_out(tmp_path: Path):
    bare = metrics(1.0, found=None, heads=())
    for split in ("val", "test"):
        for block in bare[split].values():
            del block["quality"]["told_apart"]
    said = words(rendered({"a": bare}, tmp_path)).split("Data, stage by stage")[0]
    assert "KID" in said
    assert not re.search("face is found|[Ll]abels|classifier|Hair|too few faces", said)


def test_a_measure_that_the_page_does_not_know_is_shown_under_its_name(tmp_path: Path):
    new = metrics(1.0)
    new["val"][DIRECTION]["faces"]["eye_gap"] = {"translated": estimate(0.3)}
    new["val"][DIRECTION]["quality"]["fid_inception"] = {"translated": estimate(12.0)}
    said = words(rendered({"a": new}, tmp_path))
    assert "Eye gap 0.3 0.25 to 0.35" in said and "FID in the features of inception 12" in said


def test_page_shows_every_variant_curve_card_and_stage(page: str):
    assert page.count('<th scope="row">x&lt;gan</th>') == 2
    assert "x<gan" not in page  # names are escaped everywhere
    assert "cyclegan from 0.5 to 0.3" in page and ">KID of held-out photos as anime" in page
    assert "removed › exact" in page and "1,234" in page
    assert "✗ not shown" in page and LONG in page
    assert "photos: 3 aligned faces of 64 pixels</summary>" in page and "license" not in page
    assert "Hair, where it is known. Bars, photos: black 50%, red 50%" in page


def test_rows_have_headers_tables_captions_and_pictures_words(page: str):
    bodies = re.findall(r"<tbody>(.*?)</tbody>", page, re.S)
    rows = [row for body in bodies for row in re.findall(r"<tr.*?</tr>", body, re.S)]
    assert len(rows) > 20 and all(row.count('<th scope="row">') == 1 for row in rows)
    assert page.count("<caption>") == page.count("<table") - 2  # a card's have headings above
    assert all(re.search('alt="[^"]+"', tag) for tag in re.findall(r"<img[^>]*>", page))
    assert all("aria-label=" in tag for tag in re.findall(r"<svg[^>]*>", page))


def test_settings_that_the_page_tells_to_change_exist(page: str):
    changes = re.findall(r"-S (\w+)\.(\w+)=", page)
    assert changes
    assert all(key in params.SECTIONS[section].model_fields for section, key in changes)


def test_a_broken_strip_names_the_command(tmp_path: Path):
    strip = tmp_path / f"sheets/evaluate/a/{DIRECTION}-strip.png"
    strip.parent.mkdir(parents=True)
    strip.write_bytes(b"no picture")
    with pytest.raises(StageError, match=r"no readable picture: dvc repro -f evaluate@a"):
        rendered({"a": metrics(1.0)}, tmp_path)


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ((80, 80), "drawn demo data: 3 photos and 3 anime pictures of 64 px"),
        ((80, 20), "3 photos (drawn by the demo) and 3 anime pictures (in part drawn by the demo)"),
        ((None, None), "3 photos and 3 anime pictures, of 64 px"),
    ],
)
def test_data_are_called_drawn_where_the_demo_knows_what_it_drew(tmp_path, known, text):
    blocks = metrics(1.0)["val"]
    for (direction, block), count in zip(blocks.items(), known, strict=True):
        domain = direction.split("2")[0]
        (tmp_path / domain).mkdir()
        (tmp_path / domain / "card.json").write_text(
            '{"images": 3, "pixels": 64, "attributes": {}}'
        )
        if count:
            block["agreement_with_truth"] = {"smile": {"translated": {"n": count}}}
    assert facts.data(blocks, tmp_path).startswith(text)


def test_time_of_training_is_told_where_it_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / f"checkpoints/{name}/config.json").write_text(f'{{"key": "{name}"}}')
    seconds = {"a": 600.0, "b": float("nan")}
    monkeypatch.setattr(tracking, "newest_metric", lambda key, name: seconds[key])
    assert facts.training(["a", "b", "not here"]) == "a 10 min"
    assert [facts.duration(s) for s in (90, 600, 9000)] == ["90 s", "10 min", "2.5 h"]


def test_without_git_no_commit_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert origin.commit_in_words() == ""
    monkeypatch.setenv("PATH", "")
    assert origin.commit_in_words() == ""


def test_stage_writes_page_table_and_result(tmp_path, monkeypatch, fake_run, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps({"compare": {}, "variants": {"a": {}, "b": {}}}))
    stage.METRICS.mkdir(parents=True)
    for name, kid in (("a", 2.0), ("b", 1.0)):
        (stage.METRICS / f"{name}.json").write_text(json.dumps(metrics(kid)))
    sizes = {"train": 8, "val": 1, "test": 1}
    (stage.METRICS / "split.json").write_text(json.dumps({"anime": sizes, "photos": sizes}))
    (stage.METRICS / "dedupe.json").write_text(json.dumps({"dropped": 3}))
    for name, values in (("a", [3, 2]), ("b", [3, 1])):
        path = stage.PLOTS / f"held_out/{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"images": [0, 8], "kid_photos2anime": values})
        frame.to_csv(path, index=False)
        weights = CHECKPOINTS / name / "config.json"
        weights.parent.mkdir(parents=True)
        weights.write_text(json.dumps({"key": f"key of {name}"}))
    compare.main()
    assert fake_run.places["key of a"]["place"] == "2 of 2"
    assert fake_run.places["key of b"]["place"] == "1 of 2"
    assert re.fullmatch(r"0\.9\d* to 1\.\d+", fake_run.places["key of b"]["kid_95"])
    overview = json.loads(compare.SUMMARY.read_text())
    assert overview["anime"] == 10 and overview["duplicates_dropped"] == 3
    assert overview["b"]["kid"] == 1.0
    result = json.loads(compare.RESULT.read_text())
    assert list(result["winner"]) == ["b"] and set(result["checks"]) == {"a", "b"}
    assert list(pd.read_csv(compare.LEADERBOARD)["variant"]) == ["b", "a"]
    assert "<h1>" in compare.PAGE.read_text()
    curves = pd.read_csv(compare.HELD_OUT)
    assert curves["variant"].tolist() == ["a", "a", "b", "b"]
    assert curves["kid_photos2anime"].tolist() == [3, 2, 3, 1]
    assert fake_run.tags == {"winner": "b"}
    logged = fake_run.logged
    assert logged["test_quality/kid_photos2anime"] == 1.0  # the winner's, and of nobody else
    assert logged["checks/beats_copy"] == 1 and len(logged) < 60
    printed = capsys.readouterr().out
    compare.main(show=True)
    assert capsys.readouterr().out == printed


def test_show_before_the_first_run_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match=r"leaderboard\.csv is missing: dvc repro compare"):
        compare.main(show=True)


def test_what_the_terminal_shows_again_calls_ties_ties(tmp_path):
    ranked = board({"a": metrics(1.0), "b": metrics(1.02)})
    ranked.to_csv(tmp_path / "board.csv", index=False)
    assert "1, tie" in ranking.summary(pd.read_csv(tmp_path / "board.csv"))

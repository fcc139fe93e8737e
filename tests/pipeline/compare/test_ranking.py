"""The ranking rule, the checks, and what the terminal says."""

import math
from pathlib import Path

import pytest

from pipeline.compare import ranking
from pipeline.core.errors import StageError
from tests.pipeline.compare.made_up import DIRECTION, board, estimate, metrics


def order(**variants: dict) -> list[str]:
    return list(board(variants)["variant"])


def ranks(**variants: dict) -> dict[str, int]:
    ranked = board(variants)
    return dict(zip(ranked["variant"], ranked["rank"], strict=True))


def test_lowest_validation_kid_leads():
    assert ranks(a=metrics(2.0), b=metrics(1.0), c=metrics(3.0)) == {"b": 1, "a": 2, "c": 3}


def test_kid_parts_whatever_else_is_better():
    loud = metrics(1.06, found=0.96, kept=1.0, parameters=1)
    assert ranks(a=metrics(1.0, found=0.6, kept=0.3), loud=loud) == {"a": 1, "loud": 2}


def test_where_kid_ties_faces_found_decide():
    assert ranks(a=metrics(1.0, found=0.8), b=metrics(1.04, found=0.9)) == {"b": 1, "a": 2}


def test_where_faces_tie_too_labels_kept_decide():
    a, b = metrics(1.0, found=0.9, kept=0.7), metrics(1.04, found=0.87, kept=0.8)
    assert ranks(a=a, b=b) == {"b": 1, "a": 2}
    b["val"][DIRECTION]["agreement"] = {}  # unlabelled: the mean says nothing, KID and faces tie
    assert ranks(a=a, b=b) == {"a": 1, "b": 1}


def test_a_tie_goes_on_with_the_simpler_model():
    small = metrics(1.04, parameters=10)
    assert order(big=metrics(1.0, parameters=99), small=small) == ["small", "big"]
    assert ranks(big=metrics(1.0, parameters=99), small=small) == {"small": 1, "big": 1}
    assert order(big=metrics(1.0, half=0.01, parameters=99), small=small) == ["big", "small"]


def test_who_is_out_is_ranked_anew():
    """c ties with b in KID and shows more faces, so that it goes before it."""
    variants = {"a": metrics(1.0), "b": metrics(2.0, found=0.7), "c": metrics(2.04)}
    assert ranks(**variants) == {"a": 1, "c": 2, "b": 3}


def test_too_few_faces_come_last_however_good_their_kid():
    blind = metrics(0.1, found=0.4)  # up to 0.45 of 0.96 on real images
    assert ranks(blind=blind, b=metrics(1.0), c=metrics(2.0)) == {"b": 1, "c": 2, "blind": 3}
    assert ranks(blind=metrics(0.1, found=0.44), b=metrics(1.0)) == {"blind": 1, "b": 2}
    text = ranking.summary(board({"blind": blind, "b": metrics(1.0)}))
    assert "2, few faces" in text and "Winner: b" in text
    assert "though too few of its pictures show a face" in ranking.verdict(board({"a": blind}))


def test_without_a_detector_kid_and_labels_decide():
    a, b = metrics(1.0, found=None, kept=0.6), metrics(1.04, found=None)
    assert ranks(a=a, b=b) == {"b": 1, "a": 2}
    assert "faces" not in ranking.summary(board({"a": a, "b": b}))


def test_kept_is_the_mean_of_labels_that_all_were_measured_for():
    more, less = metrics(1.0, heads=("hair", "smile", "glasses")), metrics(1.0, heads=("hair",))
    more["val"][DIRECTION]["agreement"]["smile"]["translated"] = estimate(0.2)
    ranked = board({"more": more, "less": less}).set_index("variant")
    assert ranked.loc["more", "kept"] == ranked.loc["less", "kept"] == pytest.approx(0.8)
    alone = board({"more": more}).iloc[0]
    assert alone["kept"] == pytest.approx((0.8 + 0.2 + 0.8) / 3)
    assert alone["kept_high"] - alone["kept"] == pytest.approx(0.05 / math.sqrt(3))
    assert alone["kept_shuffled"] == pytest.approx(0.25)


def test_test_numbers_take_no_part_in_the_ranking():
    worse_on_val = metrics(2.0)
    worse_on_val["test"][DIRECTION]["quality"]["kid"]["translated"] = estimate(0.0)
    assert order(a=metrics(1.0), b=worse_on_val) == ["a", "b"]


def test_the_direction_ranked_is_the_one_asked_for():
    good_back = metrics(2.0)
    good_back["val"]["anime2photos"]["quality"]["kid"]["translated"] = estimate(0.5)
    variants = {"a": metrics(1.0), "b": good_back}
    assert list(ranking.leaderboard(variants, "anime2photos")["variant"]) == ["b", "a"]


def test_nan_comes_last_and_passes_no_kid_check():
    blind = metrics(0.1, found=0.1)
    ranked = board({"broken": metrics(math.nan, parameters=1), "blind": blind, "ok": metrics(1.0)})
    assert list(ranked["variant"]) == ["ok", "blind", "broken"]
    assert ranking.places(ranked) == ["1", "2, few faces", "3, no KID"]
    assert ranking.checks(ranked.iloc[2])["beats_untrained"] == 0


def test_a_number_without_an_interval_ties_with_its_equal_alone():
    variants = {"a": metrics(1.0, half=math.nan), "b": metrics(1.0), "c": metrics(1.01)}
    assert ranks(**variants) == {"a": 1, "b": 1, "c": 3}


def test_only_nan_is_an_error():
    with pytest.raises(StageError, match=r"no variant has a finite KID: lower train\.lr"):
        order(broken=metrics(math.nan))


@pytest.mark.parametrize("what", ["evaluator", "data"])
def test_what_was_measured_otherwise_is_never_ranked_beside(what: str):
    with pytest.raises(StageError, match=rf"a and b .* another {what} .*dvc repro -f eval") as told:
        board({"a": metrics(1.0), "b": metrics(2.0, **{what: "other"})})
    assert "\n" not in str(told.value)


def test_checks_want_the_whole_interval_on_the_good_side():
    def result(kid: float, **others: float) -> dict:
        return ranking.checks(board({"a": metrics(kid, **others)}).iloc[0])

    names = "beats_untrained", "beats_copy", "shows_faces", "keeps_labels_better_than_shuffled"
    good = dict.fromkeys(names, 1)
    assert result(1.0) == good
    assert result(3.98) == good | {"beats_copy": 0}
    assert result(1.0, found=0.12) == good | {"shows_faces": 0}
    assert result(1.0, kept=0.27) == good | {"keeps_labels_better_than_shuffled": 0}


def test_a_check_that_was_not_measured_is_left_out():
    unlabelled = board({"b": metrics(1.0, heads=(), found=None)})
    assert set(ranking.checks(unlabelled.iloc[0])) == {"beats_untrained", "beats_copy"}


def test_a_missing_or_unfinished_file_names_the_command(tmp_path: Path):
    with pytest.raises(StageError, match=r"cyclegan\.json \(.*\): dvc repro evaluate@cyclegan"):
        ranking.read_metrics(["cyclegan"], tmp_path)
    (tmp_path / "cyclegan.json").write_text('{"val": ')
    with pytest.raises(StageError, match=r"cyclegan\.json \(.*\): dvc repro evaluate@cyclegan"):
        ranking.read_metrics(["cyclegan"], tmp_path)
    without_kid = metrics(1.0)
    del without_kid["val"][DIRECTION]["quality"]["kid"]
    for broken, name in (({"parameters": 1}, "val"), (without_kid, "kid")):
        with pytest.raises(StageError, match=rf"lacks '{name}': dvc repro -f evaluate@cyclegan"):
            board({"cyclegan": broken})


def test_summary_is_short_and_names_the_winner():
    text = ranking.summary(board({"a": metrics(2.0), "b": metrics(1.0)}))
    assert "Winner: b" in text and "reports/index.html" in text
    assert len(text.splitlines()) == 6 and max(map(len, text.splitlines())) < 100


def test_summary_calls_a_tie_a_tie():
    text = ranking.summary(board({"a": metrics(1.04), "b": metrics(1.0), "c": metrics(2.0)}))
    assert text.count("1, tie") == 2 and "Tie: a and b; a is the simplest" in text
    assert "Winner" not in text


def test_no_number_of_the_overview_stands_without_its_chance_level(tmp_path: Path):
    for name, content in (("split", "{}"), ("dedupe", '{"dropped": 3}')):
        (tmp_path / f"{name}.json").write_text(content)
    told = ranking.overview(board({"a": metrics(1.0), "b": metrics(2.0)}), tmp_path)
    assert set(told["a"]) == {"kid", "kid_copy", "found", "found_copy", "kept", "kept_shuffled"}
    assert (told["winner"], told["evaluator"], told["data"]) == ("a", "lite1:abc", "0123")

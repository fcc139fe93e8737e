"""``face2anime translate``: what is written, under which names, what is told, and going on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from pipeline.core import tables
from pipeline.core.errors import StageError
from pipeline.core.paths import DRAWN
from pipeline.use.model import Model
from pipeline.use.translate import run as module
from tests.crawl.misbehaving import Server, Site, body
from tests.pipeline.conftest import write_params
from tests.pipeline.use.pictures import contents, lines, picture, red_eyes, run, write, write_model

__all__ = ["red_eyes"]
pytestmark = pytest.mark.usefixtures("red_eyes")


def translate(*arguments: object):
    return run(*arguments, "--model", "model", "--out", "out")


def test_each_face_is_a_picture_of_the_size_asked_for(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    write(place / "we.png", picture((150, 60, 50), (20, 70, 30)))
    done = translate("me.png", "we.png", "--size", 96)
    assert done.exit_code == 0
    assert done.stdout.split() == ["out/me.png", "out/we-1.png", "out/we-2.png"]
    for name in done.stdout.split():
        assert tables.decode((place / name).read_bytes()).shape == (96, 96, 3)
    assert "3 faces in out" in done.stderr


def test_a_line_of_json_a_face_from_left_to_right(place: Path) -> None:
    write(place / "we.png", picture((150, 60, 50), (20, 70, 30)))
    done = translate("we.png", "--json", "--paste")
    first, second = lines(done)
    assert list(first) == ["input", "output", "eyes", "size", "pasted", "seconds"]
    assert (first["input"], first["output"]) == ("we.png", "out/we-1.png")
    assert first["eyes"] == [[20, 70], [50, 70]] and second["eyes"] == [[150, 60], [200, 60]]
    assert first["size"] == 512 and first["seconds"] > 0
    assert first["pasted"] == second["pasted"] == "out/we-pasted.jpg"


def test_the_models_template_says_where_the_eyes_go(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    assert translate("me.png", "--json").exit_code == 0
    write_model(place / "other", template={"size": 32, "eye_distance": 0.5, "eye_line": 0.6})
    run("me.png", "--model", "other", "--out", "closer")
    assert contents(place / "out")["me.png"] != contents(place / "closer")["me.png"]


def test_no_two_pictures_share_a_name_and_nothing_of_others_is_lost(place: Path) -> None:
    write(place / "a/me.png", picture((60, 70, 40)))
    write(place / "b/ME.png", picture((50, 70, 40)))
    write(place / "b/me-1.png", picture((40, 70, 40)))
    write(place / "c/me.png", picture((20, 70, 40), (120, 70, 40)))
    write(place / "out/me_2.png", mine := picture())
    done = translate("a", "b", "c", "--json")
    outputs = [line["output"] for line in lines(done)]
    assert len({name.casefold() for name in outputs}) == 5
    assert outputs[0] == "out/me.png" and "out/me_2.png" not in outputs
    np.testing.assert_array_equal(tables.decode((place / "out/me_2.png").read_bytes()), mine)


def test_the_picture_itself_is_never_overwritten(place: Path) -> None:
    before = write(place / "me.png", picture((60, 70, 40))).read_bytes()
    done = run("me.png", "--model", "model", "--out", ".", "--json")
    assert [line["output"] for line in lines(done)] == ["me_2.png"]
    assert (place / "me.png").read_bytes() == before
    write(place / "grid.png", picture((60, 70, 40)))
    again = run("grid.png", "--model", "model", "--out", ".", "--grid")
    assert isinstance(again.exception, StageError) and "change --out" in str(again.exception)


def test_what_is_there_is_not_done_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    write(place / "none.png", picture())
    first = translate("me.png", "none.png", "--json")
    before = contents(place / "out")
    with monkeypatch.context() as patch:
        patch.setattr(Model, "load", lambda self: pytest.fail("the network was asked"))
        again = translate("me.png", "none.png", "--json")
    assert contents(place / "out") == before
    assert (first.exit_code, again.exit_code) == (3, 3)
    kept = ("input", "output", "eyes")
    assert [[x[k] for k in kept] for x in lines(again)] == [
        [x[k] for k in kept] for x in lines(first)
    ]
    assert "1 there before" in again.stderr


def test_what_has_changed_is_done_again_under_its_name(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    translate("me.png")
    first = contents(place / "out")
    (place / "out/me.png").unlink()
    assert translate("me.png").exit_code == 0
    assert contents(place / "out")["me.png"] == first["me.png"]
    write(place / "me.png", picture((60, 70, 40), (130, 70, 40)))
    translate("me.png")
    assert {"me-1.png", "me-2.png"} < set(contents(place / "out"))
    assert not (place / "out/me.png").exists()
    write_model(place / "model", seed=5)
    changed = contents(place / "out", ["me-1.png"])
    translate("me.png")
    assert contents(place / "out", ["me-1.png"]) != changed


def test_killed_in_the_middle_it_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        write(place / f"in/{number}.png", picture((60 + number, 70, 40)))
    run("in", "--model", "model", "--out", "whole")
    written = []

    def interrupted(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", interrupted)
        assert translate("in").exit_code != 0
    assert written == ["0.png", "1.png"]
    with (place / "out/translated.jsonl").open("a") as file:
        file.write('{"identity": "half a li')  # as a machine that went dark leaves it
    assert translate("in").exit_code == 0
    pictures = [f"{number}.png" for number in range(4)]
    assert contents(place / "out", pictures) == contents(place / "whole", pictures)
    assert sorted(contents(place / "out")) == [*pictures, "translated.jsonl"]
    assert translate("in").stderr.count("4 there before") == 1


def test_one_bad_picture_stops_no_other(place: Path) -> None:
    write(place / "in/good.png", picture((60, 70, 40)))
    write(place / "in/none.png", picture())
    write(place / "in/small.png", picture((60, 70, 9)))
    write(place / "in/dot.png", picture(size=(1, 1)))
    (place / "in/broken.jpg").write_bytes(b"no picture")
    (place / "in/phone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(30))
    (place / "in/notes.txt").write_bytes(b"no picture, and not called one")
    done = translate("in", "nowhere.jpg")
    assert done.exit_code == 1 and done.stdout == "out/good.png\n"
    told = done.stderr.splitlines()
    for line in (
        "translate: nowhere.jpg is no file, folder or http address",
        "translate: in/broken.jpg: no image of a known format",
        "translate: in/dot.png: no face found",
        "translate: in/none.png: no face found",
        "translate: in/small.png: a face with its eyes 9 pixels apart, 12 are needed",
    ):
        assert told.count(line) == 1, line
    assert any("phone.heic: a HEIC picture" in line for line in told)
    assert told[-1] == "translate: 1 face in out, 3 pictures without a face, 3 failed"


@pytest.mark.parametrize("odd", ["\n", "\x1b", "\x9b", "\u2028", "\u202e", "\u2066", "\udcff"])
def test_a_name_that_a_terminal_would_obey_is_told_in_one_plain_line(place: Path, odd: str) -> None:
    write(place / f"in/me{odd}é名.png", picture((60, 70, 40)))
    (place / f"in/no{odd}.png").write_bytes(b"no picture")
    done = translate("in")
    shown = "�" if odd == "\udcff" else "?"
    assert f"translate: in/no{shown}.png: no image of a known format\n" in done.stderr
    assert done.stdout == f"out/me{shown.replace('?', '_')}é名.png\n"
    assert (place / done.stdout.strip()).is_file()


def test_no_face_alone_ends_with_3(place: Path) -> None:
    write(place / "none.png", picture())
    done = translate("none.png")
    assert done.exit_code == 3 and not done.stdout
    assert translate("none.png", "--to", "photo").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty"], "there is no picture to translate"),
        ([""], "there is no picture to translate"),
        ([" "], "there is no picture to translate"),
        (["me.png", "--out", "me.png"], "me.png cannot be written .*change --out"),
        (["me.png", "--model", "modle"], "model modle is neither a folder"),
    ],
)
def test_where_nothing_can_be_done_one_line_says_why(place: Path, arguments, words) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    (place / "empty").mkdir()
    done = run(*arguments, *([] if "--out" in arguments else ["--out", "out"]),
               *([] if "--model" in arguments else ["--model", "model"]))  # fmt: skip
    with pytest.raises(StageError, match=words) as told:
        raise done.exception
    assert "\n" not in str(told.value)


def test_what_was_drawn_is_not_taken_for_a_photo(place: Path) -> None:
    write(place / "in/me.png", picture((60, 70, 40)))
    write(place / "in/.hidden/you.png", picture((60, 70, 40)))
    for _ in range(2):
        done = run("in", "in/me.png", "--model", "model", "--out", "in/drawn", "--json")
        assert [line["output"] for line in lines(done)] == ["in/drawn/me.png"]


def test_names_may_hold_any_byte(place: Path) -> None:
    name = os.fsdecode(b"a\xff\nb*.png")
    write(place / "in" / name, picture((60, 70, 40)))
    done = translate("in", "--json")
    (line,) = lines(done)
    assert line["input"] == "in/a\ufffd?b*.png" and line["output"] == "out/a\ufffd?b_.png".replace(
        "?", "_"
    )
    assert (place / line["output"]).is_file()


def test_the_sheet_shows_each_face_before_and_after_also_later(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    write(place / "we.png", picture((150, 60, 50), (20, 70, 30)))
    translate("me.png", "we.png", "--grid")
    sheet = (place / "out/grid.png").read_bytes()
    height, width = tables.decode(sheet).shape[:2]
    assert height > 3 * module.CELL and width > 2 * module.CELL
    (place / "out/grid.png").unlink()
    translate("me.png", "we.png")
    assert not (place / "out/grid.png").exists()
    translate("me.png", "we.png", "--grid")
    assert (place / "out/grid.png").read_bytes() == sheet


def test_an_address_is_asked_once_and_guarded(place: Path) -> None:
    file = write(place / "me.png", picture((60, 70, 40))).read_bytes()
    site = Site({"/album/my%20face.png": body(file)})
    with Server(site) as server:
        url = f"http://127.0.0.1:{server.address[1]}/album/my%20face.png"
        write_params({"web": {"allow_private_hosts": []}})
        refused = translate(url)
        assert refused.exit_code == 1 and "which is not public" in refused.stderr
        assert not site.seen
        write_params({"web": {"allow_private_hosts": ["127.0.0.1"], "retries": 0}})
        for _ in range(2):
            assert translate(url).stdout == "out/my face.png\n"
        assert len(site.seen) == 1
        gone = translate(url.replace("face", "other"))
        assert gone.exit_code == 1 and "HTTP 404" in gone.stderr


def test_a_model_of_drawn_faces_says_so_when_it_meets_a_photo(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    write(place / "you.png", picture((60, 70, 45)))
    write_model(place / "demo", data=DRAWN)
    told = run("me.png", "you.png", "--model", "demo", "--out", "a").stderr
    assert told.count("knows no real photo") == 1
    assert "knows no real photo" not in translate("me.png").stderr
    drawings = run("me.png", "--model", "demo", "--out", "b", "--to", "photo")
    assert "knows no real photo" not in drawings.stderr and drawings.exit_code == 0


def test_to_photo_goes_the_other_way(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    translate("me.png")
    there = contents(place / "out")["me.png"]
    translate("me.png", "--to", "photo")
    assert contents(place / "out")["me.png"] != there


def test_help_imports_nothing_heavy() -> None:
    script = "import sys, pipeline.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "cv2", "matplotlib", "animeface", "pandas", "mlflow", "dvc", "aiohttp"}
    assert not heavy & set(loaded)


def test_a_broken_model_is_told(place: Path) -> None:
    write(place / "me.png", picture((60, 70, 40)))
    config = json.loads((place / "model/config.json").read_text())
    (place / "model/config.json").write_text(json.dumps(config | {"template": {"size": 3}}))
    with pytest.raises(ModelError, match="config.json is broken"):
        raise translate("me.png").exception

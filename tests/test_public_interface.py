"""``import face2anime``: what it gives, what it refuses, and that it stays as it is documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import face2anime
from pipeline.core import tables
from pipeline.core.paths import DRAWN
from pipeline.use import model
from tests.pipeline.use.pictures import picture, red_eyes, run, write, write_model
from tests.project import ROOT

__all__ = ["red_eyes"]
pytestmark = pytest.mark.usefixtures("red_eyes")
WE = picture((150, 60, 50), (20, 70, 30), (200, 140, 9))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model that comes along."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model, "PRETRAINED", write_model(tmp_path / "pretrained"))
    return tmp_path


def test_a_file_its_bytes_and_its_pixels_give_the_same(place: Path) -> None:
    path = write(place / "we.png", WE)
    mine = face2anime.load()
    first = mine.translate(path)
    assert [face.eyes.tolist() for face in first.faces] == [
        [[20, 70], [50, 70]], [[150, 60], [200, 60]]
    ]  # fmt: skip
    assert first.too_small == (9.0,) and first.face is first.faces[1]
    np.testing.assert_array_equal(first.image, WE)
    mirrored_twice = WE[:, ::-1].copy()[:, ::-1]  # pixels in another order of memory
    for same in (str(path), path.read_bytes(), WE, mirrored_twice):
        for one, other in zip(first.faces, mine.translate(same).faces, strict=True):
            np.testing.assert_array_equal(one.picture, other.picture)
            np.testing.assert_array_equal(one.before, other.before)


def test_faces_are_those_of_the_command_and_so_is_what_is_pasted(place: Path) -> None:
    path = write(place / "we.png", WE)
    run("we.png", "--out", "out", "--size", 96, "--paste")
    result = face2anime.translate(path, size=96)
    for number, face in enumerate(result.faces, 1):
        written = tables.decode((place / f"out/we-{number}.png").read_bytes())
        np.testing.assert_array_equal(face.picture, written)
        assert face.before.shape == written.shape == (96, 96, 3)
    pasted = tables.decode((place / "out/we-pasted.jpg").read_bytes()).astype(int)
    assert np.abs(result.pasted() - pasted).mean() < 3  # JPEG's loss
    assert np.abs(result.pasted().astype(int) - WE).max() > 20


def test_both_directions_and_every_model(place: Path) -> None:
    write_model(place / "checkpoints/xgan", seed=1)
    (place / "reports").mkdir()
    (place / "reports/leaderboard.csv").write_text("rank,variant\n1,xgan\n")
    shipped, winner = face2anime.load(), face2anime.load("champion")
    assert (shipped.name, winner.name, winner.image_size) == ("shipped", "xgan", 32)
    assert face2anime.load(place / "checkpoints/xgan").name == "xgan"
    there = [each.translate(WE).face.picture for each in (shipped, winner)]
    back = shipped.translate(WE, to="photo").face.picture
    assert (there[0] != there[1]).any() and (there[0] != back).any()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("nowhere.jpg", "nowhere.jpg: No such file"),
        ("a\0b", "null"),
        (".", "directory"),
        (b"no picture", "no image of a known format"),
        (b"", "no image of a known format"),
        (WE[..., 0], r"an array must be uint8 RGB \[H, W, 3\], not uint8 \[160, 240\]"),
        (WE / 255, "not float64"),
        (WE[:0], "no pixel"),
        (None, "a path, bytes or an array, not NoneType"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture(bad: typing.Any, words: str) -> None:
    with pytest.raises(face2anime.Error, match=words) as told:
        face2anime.load().translate(bad)
    assert "\n" not in str(told.value)


def test_wrong_arguments_and_models() -> None:
    mine = face2anime.load()
    wrong: dict[str, typing.Any] = {"to": "cat"}
    with pytest.raises(face2anime.Error, match="use 'anime' or 'photo'"):
        mine.translate(WE, **wrong)
    with pytest.raises(face2anime.Error, match="use 16 to 4096 pixels"):
        mine.translate(WE, size=0)
    with pytest.raises(face2anime.Error, match="neither a folder with"):
        face2anime.load("no such")
    (Path("pretrained") / "generator.safetensors").write_bytes(b"no weights")
    with pytest.raises(face2anime.Error):
        face2anime.load()


def test_no_face_is_no_error_until_one_is_asked_for() -> None:
    nobody = face2anime.translate(picture())
    assert nobody.faces == () and (nobody.pasted() == picture()).all()
    with pytest.raises(face2anime.Error, match="^no face was found: "):
        _ = nobody.face
    with pytest.raises(face2anime.Error, match="no face was found but 1 too small"):
        _ = face2anime.translate(picture((60, 70, 9))).face


def test_what_a_model_cannot_know_is_a_warning(place: Path) -> None:
    write_model(place / "demo", data=DRAWN)
    with pytest.warns(UserWarning, match="knows no real photo") as told:
        face2anime.translate(WE, model="demo", size=32)
    assert len(told) == 1


def test_threads_share_a_model() -> None:
    mine, places = face2anime.load(), range(40, 120, 20)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda x: mine.translate(picture((x, 70, 40)), size=32), places))
    assert [result.face.eyes[0, 0] for result in done] == list(places)


def test_it_is_typed_and_importing_it_loads_no_torch() -> None:
    for value in map(vars(face2anime).get, face2anime.__all__):
        if inspect.isfunction(value):
            told = {*inspect.signature(value).parameters, "return"}
            assert set(typing.get_type_hints(value)) == told
    assert (ROOT / "face2anime/py.typed").is_file()
    script = "import sys, face2anime; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_every_python_block_of_the_page_runs(place: Path) -> None:
    """And together they use all that is public."""
    for name in ("portrait.jpg", "drawing.png"):
        write(place / name, picture((60, 70, 40)))
    write_model(place / "my/model")
    page = (ROOT / "docs/use.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names: dict[str, typing.Any] = {}
    for block in blocks:
        exec(compile(block, "docs/use.md", "exec"), names)
    assert len(blocks) >= 2
    assert names["face"].picture.shape == (512, 512, 3)
    told = "".join(blocks) + page
    assert all(re.search(rf"\b{name}\b", told) for name in face2anime.__all__)

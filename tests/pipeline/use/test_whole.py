"""A model that learned from whole pictures takes a picture's middle: nothing looks for a face."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import requests

import face2anime
from models.errors import ModelError
from pipeline.core import tables
from pipeline.core.params import Align, Celeba, Demo, Faces
from pipeline.imaging.images import central_square
from pipeline.train.__main__ import origin
from pipeline.use import faces
from pipeline.use.drawing import cut, cut_middle
from pipeline.use.model import choose
from tests.pipeline.use.pictures import SIZE, lines, picture, run, write, write_model
from tests.pipeline.use.serving import served
from tests.project import PATIENCE

HORSE = picture((60, 70, 40))  # [160, 240, 3]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that takes whole photos, and faces of drawings; any search for a face fails."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model", whole=["photos"])
    write(tmp_path / "horse.png", HORSE)
    return tmp_path


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "finder", lambda *_: lambda rgb: pytest.fail("a face is looked for"))


def test_the_network_gets_the_square_that_data_sets_have(place: Path) -> None:
    model, _ = choose("model")
    found = cut_middle(HORSE, model.template("anime"))
    np.testing.assert_array_equal(found.crops[0], central_square(HORSE, SIZE))
    # What is shown beside it, and pasted, is cut out by the square's "eyes": the same square.
    template = model.template("anime").model_copy(update={"size": 160})
    again = cut(HORSE, [found.faces[0].eyes], template)[0]
    np.testing.assert_array_equal(again, HORSE[:, 40:200])
    assert found.faces[0].outline.tolist() == [
        [39.5, -0.5], [199.5, -0.5], [199.5, 159.5], [39.5, 159.5]
    ]  # fmt: skip


def test_translate_writes_it_says_so_once_and_tells_no_eyes(place: Path) -> None:
    write(place / "dot.png", picture(size=(1, 1)))
    done = run("horse.png", "dot.png", "--model", "model", "--out", "out", "--json", "--grid",
               "--paste", "--size", 96)  # fmt: skip
    assert done.exit_code == 0
    assert [line["eyes"] for line in lines(done)] == [None, None]
    assert done.stderr.count("model takes the middle square") == 1
    assert "2 pictures in out" in done.stderr
    assert tables.decode((place / "out/horse.png").read_bytes()).shape == (96, 96, 3)
    pasted = tables.decode((place / "out/horse-pasted.jpg").read_bytes()).astype(int)
    changed = np.abs(pasted - HORSE).mean(axis=2)
    assert pasted.shape == HORSE.shape
    assert changed[30:130, 70:170].mean() > 5 * changed[:, :35].mean()
    again = run("horse.png", "--model", "model", "--out", "out", "--json", "--grid", "--paste",
                "--size", 96)  # fmt: skip
    assert lines(again)[0]["eyes"] is None and "1 there before" in again.stderr


def test_the_other_direction_looks_for_faces_if_its_images_were_faces(place: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="a face is looked for"):
        raise run("horse.png", "--model", "model", "--out", "out", "--to", "photo").exception
    write_model(place / "both", whole=["photos", "anime"])
    done = run("horse.png", "--model", "both", "--out", "out", "--to", "photo")
    assert done.exit_code == 0 and "both takes the middle square" in done.stderr


def test_the_page_and_python_do_the_same(place: Path) -> None:
    run("horse.png", "--model", "model", "--out", "out")
    written = tables.decode((place / "out/horse.png").read_bytes())
    result = face2anime.translate("horse.png", model="model")
    np.testing.assert_array_equal(result.face.picture, written)
    assert np.isnan(result.face.eyes).all() and result.pasted().shape == HORSE.shape
    np.testing.assert_allclose(result.face.before, central_square(HORSE, 512), atol=3)
    with served(place / "model") as address:
        query = {"model": "model", "to": "anime"}
        data = (place / "horse.png").read_bytes()
        told = requests.post(f"{address}/faces", data, params=query, timeout=PATIENCE).json()
    (face,) = told["faces"]
    assert face["eyes"] is None and "takes the middle square" in told["notes"][0]
    np.testing.assert_array_equal(tables.decode(base64.b64decode(face["drawn"])), written)


@pytest.mark.parametrize(
    ("eyes", "detector", "whole"),
    [
        ("landmarks", "animeface", None),
        ("mesh", "none", ["anime"]),
        ("none", "animeface", ["photos"]),
        ("none", "none", ["photos", "anime"]),
    ],
)
def test_training_says_which_domains_are_whole(
    eyes: str, detector: str, whole: list[str] | None
) -> None:
    align = Align(size=64, eye_distance=0.34, eye_line=0.44, max_border=1.0)
    celeba = Celeba.model_construct(eyes=eyes)
    told = origin(align, Demo(faces=0, photos=0, seed=1), celeba,
                  Faces.model_construct(detector=detector))  # fmt: skip
    assert told.get("whole") == whole and told["template"]["eye_distance"] == 0.34


@pytest.mark.parametrize("whole", ["photos", ["horses"], 3, [[]]])
def test_a_config_that_names_no_domain_is_broken(place: Path, whole: object) -> None:
    write_model(place / "odd", whole=whole)
    with pytest.raises(ModelError, match="config.json is broken"):
        choose("odd")

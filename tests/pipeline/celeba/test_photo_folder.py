"""Any two folders: striped and plain shapes, no face in them, go through every stage."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline import profiles
from pipeline.celeba import __main__ as celeba
from pipeline.compare import __main__ as compare
from pipeline.core import tables, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.params import Align, Celeba, Demo, Exclude, Faces, load
from pipeline.core.paths import DRAWN
from pipeline.crawl import __main__ as crawl
from pipeline.dedupe import __main__ as dedupe
from pipeline.discover import __main__ as discover
from pipeline.evaluate import __main__ as evaluate
from pipeline.faces import __main__ as faces
from pipeline.imaging import images
from pipeline.recognizer import __main__ as recognizer
from pipeline.split import __main__ as split
from pipeline.split import assign
from pipeline.train import __main__ as train
from tests.pipeline.conftest import FakeRun, log_into_fake

ROOT = Path(__file__).resolve().parents[3]
COUNT = 40  # images of each kind
SIZE = 32  # of what is made of them
TINY = {
    "align": {"size": SIZE},
    "compute": {"backend": "threading", "workers": 1, "device": "cpu", "threads": 1},
    "split": {"val": 0.3, "test": 0.3, "seed": 3, "near_bits": 0},
    "recognizer": {"images": 128, "batch_size": 8, "image_size": SIZE, "channels": 4},
    "train": {
        "image_size": SIZE,
        "budget_images": 16,
        "batch_size": 4,
        "log_every": 8,
        "sample_every": 8,
        "state_every": 8,
    },
    "evaluate": {"bootstrap": 20},
}
STAGES = [discover, crawl, faces, dedupe, celeba, split, recognizer]
ALIGN = Align(size=SIZE, eye_distance=0.26, eye_line=0.5, max_border=1.0)


def shape(seed: int, striped: bool) -> np.ndarray:
    """An ellipse on a plain ground, wider than high, uint8 [48, 60, 3]."""
    rng = np.random.default_rng([seed, striped])
    picture = np.full((48, 60, 3), rng.integers(120, 256, 3), np.uint8)
    colour = rng.integers(0, 120, 3).tolist()
    centre = rng.integers((20, 15), (40, 33)).tolist()
    cv2.ellipse(picture, centre, rng.integers(8, 20, 2).tolist(), seed * 20, 0, 360, colour, -1)
    if striped:
        picture[(np.arange(48) // 3 % 2).astype(bool)] //= 2
    return picture


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeRun]:
    """A folder in which all stages ran with ``profiles/folders.yaml``."""
    project = tmp_path_factory.mktemp("two folders")
    for folder, striped in (("a", False), ("b", True)):
        for number in range(COUNT):
            # The same file names in two folders, as in horse2zebra's.
            path = project / f"local/{folder}/part{number % 2}/{number // 2}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tables.encode_png(shape(number, striped)))
    (project / "local/a/part0/0.png").write_bytes(b"no image")
    (project / "local/b/part9.png").write_bytes(tables.encode_png(shape(0, True)[:, ::-1]))
    content = yaml_files.loads(profiles.merged("folders", ROOT / "profiles"))
    for section, values in TINY.items():
        content[section].update(values)
    content["variants"]["cyclegan"] |= {"channels": 4, "blocks": 1, "discriminator_channels": 4}
    (project / "params.yaml").write_text(yaml_files.dumps(content), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        run = log_into_fake(patch)
        for stage in STAGES:
            stage.main()
        train.main("cyclegan")
        run.key = "0"
        evaluate.main("cyclegan")
        compare.main()
    return project, run


def metrics(project: Path, name: str) -> dict:
    return json.loads((project / f"reports/metrics/{name}.json").read_text(encoding="utf-8"))


def test_every_picture_is_a_row_of_its_middle(project) -> None:
    rows = tables.read_frame(project[0] / "data/faces")
    drawn = [images.central_square(shape(number, True), SIZE) for number in range(COUNT)]
    assert {images.pixel_id(picture) for picture in drawn} <= set(rows["id"])
    assert len(rows) == COUNT + 1
    assert rows[["left_x", "eye_distance", "tilt", "hair_L"]].isna().all(axis=None)
    assert (rows[["hair", "eyes", "skin", "hair_from", "smile"]] == "unknown").all(axis=None)
    assert set(rows[["box_x", "box_y", "box_w"]].itertuples(index=False, name=None)) == {(6, 0, 48)}
    assert metrics(project[0], "faces")["enlarged"] == 0


def test_every_data_folder_of_a_stage_reads_as_one_table_with_images(project) -> None:
    """One line of pandas: a foreign file would take the images away. Beside the splits stands their
    card, which Hugging Face wants as README.md, and which pandas is told to leave out."""
    stages = yaml_files.read(ROOT / "dvc.yaml")["stages"]
    outs = [out for stage in stages.values() for out in stage["outs"] if isinstance(out, str)]
    folders = [project[0] / out for out in outs if out.startswith("data/") and out != "data/demo"]
    folders = [folder for folder in folders if folder.is_dir()]
    assert len(folders) == 5
    for folder in [place for out in folders for place in (out, *out.glob("[!_]*/"))]:
        card = ["README"] if folder == project[0] / "data/splits" else []
        how = {"ignore_prefixes": [*card, "_", "."]} if card else {}
        frame = pd.read_parquet(folder, **how)
        assert len(frame) and frame["image"].map(lambda image: len(image["bytes"])).all(), folder
        files = [file for file in folder.iterdir() if file.is_file() and file.stem not in card]
        assert all("-" in file.stem for file in files), folder


def test_only_true_copies_go(project) -> None:
    counts = metrics(project[0], "dedupe")
    assert (counts["dropped"], counts["dropped_mirrored"]) == (1, 1)


def test_photos_are_named_by_their_place_and_unlabelled(project) -> None:
    rows = tables.read_frame(project[0] / "data/photos")
    named = [f"part{number % 2}/{number // 2}.png" for number in range(1, COUNT)]
    assert sorted(rows["file"]) == sorted(named)
    assert (rows["identity"] == rows["file"]).all()
    assert (rows[["hair", "smile", "yaw"]] == "unknown").all(axis=None)
    assert "male_share" not in metrics(project[0], "celeba")


def test_splits_hold_both_kinds(project) -> None:
    counts = metrics(project[0], "split")
    assert sum(counts["photos"][name] for name in assign.SPLITS) == COUNT - 1
    assert sum(counts["anime"][name] for name in assign.SPLITS) == COUNT


def test_variants_are_judged_and_ranked_without_any_label(project) -> None:
    numbers = metrics(project[0], "cyclegan")["test"]["photos2anime"]
    assert np.isfinite(numbers["quality"]["kid"]["translated"]["value"])
    assert numbers["agreement"] == {}
    board = pd.read_csv(project[0] / "reports/leaderboard.csv")
    assert not [name for name in board if str(name).startswith(("hair", "smile", "domain"))]
    page = (project[0] / "reports/index.html").read_text(encoding="utf-8")
    words = re.sub('base64,[^"]*', "", page.partition("<h2>Data, stage by stage</h2>")[0])
    assert "hair" not in words.casefold()


def test_a_model_carries_its_template(project) -> None:
    told = json.loads((project[0] / "checkpoints/cyclegan/config.json").read_text())
    assert told["template"] == {"size": SIZE, "eye_distance": 0.26, "eye_line": 0.5}
    assert "data" not in told
    # Both domains of this project are folders in which no face was looked for.
    assert told["whole"] == ["photos", "anime"]
    faces = load(Faces, ROOT / "profiles/demo.yaml")
    seen = load(Celeba, ROOT / "profiles/demo.yaml")
    drawn = train.origin(ALIGN, Demo(faces=9, photos=0, seed=1), seen, faces)
    assert drawn == {"template": told["template"], "data": DRAWN}


@pytest.mark.parametrize(("name", "source"), [("photos", "local/a"), ("anime", "b")])
def test_cards_claim_neither_faces_nor_celeba(project, name: str, source: str) -> None:
    card = (project[0] / f"reports/datasets/{name}/README.md").read_text(encoding="utf-8")
    assert f"| {source} |" in card and "not stated" in card
    assert "CelebA" not in card and "no face was looked for" in card
    assert "Both eyes" not in card and "pictures with a face" not in card
    assert "No attribute of any image is known." in card


def folder(place: Path, **changes) -> Celeba:
    rules = {"path": place, "images": "folder", "eyes": "none", "keep": {}} | changes
    return Celeba.model_validate(rules)


def test_a_zip_is_as_its_folder(project, tmp_path: Path) -> None:
    here = project[0] / "local/a"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(here.rglob("*.png")):
            archive.write(file, file.relative_to(here))
        archive.writestr("__MACOSX/part1/._1.png", b"not a picture")
    zipped = celeba.align_photos(folder(tmp_path / "a.zip"), ALIGN, Exclude(), 1)
    loose = celeba.align_photos(folder(here), ALIGN, Exclude(), 1)
    pd.testing.assert_frame_equal(zipped.frame, loose.frame)
    assert zipped.counts == {**loose.counts, "no_pictures": 1}  # what a Mac adds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep": {"Male": False}}, "not celeba.keep"),
        ({"drop": {"Blurry": True}}, "not celeba.drop"),
        ({"male_fraction": 0.5}, "male_fraction"),
        ({"download": True}, "download"),
        ({"eyes": "landmarks"}, "eyes: landmarks"),
        ({"path": Path("absent")}, "absent is missing"),
        ({"path": Path(__file__)}, "neither a folder nor a zip, tar or Parquet file"),
        ({"path": Path(__file__).parent}, "holds no picture"),
    ],
)
def test_a_mistake_ends_in_one_clear_line(tmp_path: Path, changes: dict, words: str) -> None:
    (tmp_path / "1.png").write_bytes(tables.encode_png(shape(1, False)))
    with pytest.raises(StageError, match=words) as raised:
        celeba.align_photos(folder(tmp_path, **changes), ALIGN, Exclude(), 1)
    assert "\n" not in str(raised.value)

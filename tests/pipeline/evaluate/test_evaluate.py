"""A perfect, a lazy and a real translator: the numbers must tell them apart."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from models.checkpoint import save_translator, untrained_translator
from models.data.augment import channels_last
from models.data.domain import Domain
from models.errors import ModelError
from models.metrics.held_out import HeldOut, l1
from models.metrics.quality import METRICS
from models.recognizer.training import save_recognizer
from models.variants import Variant
from pipeline.core import params, stage, tables
from pipeline.evaluate import __main__ as evaluate
from pipeline.evaluate import measure, truth
from pipeline.evaluate.evaluator import Evaluator
from tests.models.helpers import grid_space, light_reader

HEADS = {"hair": ["black", "blonde"], "smile": ["no", "yes"]}
SIZE = 32
SETTINGS = params.Evaluate(bootstrap=60, seed=1, sheet_rows=2)


def domain(name: str, n: int, seed: int) -> Domain:
    """Noise; the upper part's brightness is the hair, photos are red and anime faces green."""
    rng = np.random.default_rng(seed)
    hair = rng.choice(["black", "blonde"], n)
    images = rng.normal(120, 25, (n, 3, SIZE, SIZE))
    images[:, :, :12] += np.where(hair == "black", -80, 80).reshape(-1, 1, 1, 1)
    images[:, 0 if name == "photos" else 1] += 50
    labels = pd.DataFrame({"hair": hair, "smile": rng.choice(["no", "yes", "unknown"], n)})
    ids = [f"{name}-{seed}-{i:03d}" for i in range(n)]
    return Domain(torch.from_numpy(images.clip(0, 255).astype(np.uint8)), ids, labels)


class Fake:
    """A translator that does what ``translate`` says."""

    def __init__(self, translate) -> None:
        self.network, self.variant = nn.Linear(2, 3), SimpleNamespace(name="fake")
        self.translate = lambda images, direction, labels: translate(images)
        self.seen = lambda images, domain: images


PERFECT = Fake(lambda x: x[:, [1, 0, 2]])  # red ↔ green, all else kept
LAZY = Fake(lambda x: x)
FLAT = Fake(lambda x: torch.full_like(x, 127))
NOT_LOOKING = Fake(lambda x: x[:, [1, 0, 2]].roll(1, dims=0))  # right style, somebody else's face


@pytest.fixture(scope="module")
def train() -> dict[str, Domain]:
    return {name: domain(name, 80, 1) for name in ("photos", "anime")}


@pytest.fixture(scope="module")
def evaluator(train: dict[str, Domain]) -> Evaluator:
    """One that tells the hair for sure, for it was made so: trained, it would here and there."""
    return Evaluator(light_reader(HEADS, SIZE, limit=136), [grid_space()], train, SETTINGS)


@pytest.fixture(scope="module")
def held() -> dict[str, dict[str, Domain]]:
    return {
        split: {name: domain(name, 48, seed) for name in ("photos", "anime")}
        for split, seed in (("val", 2), ("test", 3))
    }


def block(translator: Fake, evaluator: Evaluator, held: dict) -> dict:
    domains, others = held["val"], held["test"]["anime"].images
    return measure.evaluate_direction(translator, FLAT, evaluator, "photos2anime", domains, others)


def test_perfect_is_at_the_floor_and_lazy_is_at_the_copy(evaluator, held):
    perfect, lazy = (block(x, evaluator, held)["quality"] for x in (PERFECT, LAZY))
    kid = perfect["kid"]
    assert kid["translated"]["value"] < 0.1 * kid["copy"]["value"]
    assert kid["floor"]["low"] < 0.05 * kid["copy"]["value"]
    assert lazy["kid"]["translated"] == lazy["kid"]["copy"]
    assert kid["untrained"]["value"] > kid["translated"]["high"]
    assert (kid["translated"]["n_real"], kid["translated"]["n_fake"]) == (48, 48)
    assert perfect["told_apart"]["translated"]["value"] < perfect["told_apart"]["copy"]["low"]
    assert perfect["fid"]["translated"]["value"] < perfect["fid"]["copy"]["low"]


def test_a_translator_that_gives_everybody_one_face_is_not_diverse(evaluator, held):
    one = Fake(lambda x: x[:1, [1, 0, 2]].expand_as(x).contiguous())
    quality = block(one, evaluator, held)["quality"]
    assert quality["diversity"]["translated"]["value"] == 0
    assert quality["diversity"]["floor"]["value"] == pytest.approx(1, abs=0.2)


def test_one_that_recites_its_training_images_is_found_out(evaluator, held, train):
    known = train["anime"].images
    recites = Fake(lambda x: known[: len(x)] if len(x) == 48 else x)
    memorised = block(recites, evaluator, held)["quality"]["memorised"]
    assert memorised["translated"]["value"] == 1
    assert memorised["floor"]["value"] < 0.3


def test_numbers_in_a_further_space_stand_beside_and_do_not_rank(train, held):
    fine = replace(grid_space(8), name="fine:11111111")
    evaluator = Evaluator(
        light_reader(HEADS, SIZE, limit=136), [grid_space(), fine], train, SETTINGS
    )
    quality = block(PERFECT, evaluator, held)["quality"]
    assert set(quality) == {*METRICS, "kid_fine:11111111", "fid_fine:11111111"}
    assert evaluator.name.startswith("grid:00000000 recognizer:")


def test_real_images_are_looked_at_once(evaluator, held):
    looks: list[int] = []

    def network(images):
        looks.append(len(images))
        return images.float().mean(dim=(2, 3))

    counted = replace(grid_space(), name=f"counted:{os.getpid():08d}", network=network)
    again = Evaluator(evaluator.recognizer, [counted], evaluator.train, SETTINGS)
    first = block(PERFECT, again, held)
    once = sum(looks)
    assert block(PERFECT, again, held) == first
    assert sum(looks) - once == 2 * 48  # its translations, and those of the untrained network


def test_agreement_falls_to_chance_when_the_source_is_ignored(evaluator, held):
    kept = block(PERFECT, evaluator, held)["agreement"]["hair"]
    lost = block(NOT_LOOKING, evaluator, held)["agreement"]["hair"]
    assert kept["translated"]["value"] > 0.95 > lost["translated"]["high"]
    assert kept["copy"]["value"] > 0.95
    assert kept["shuffled"]["low"] < 0.5 < kept["shuffled"]["high"]


def test_the_colour_rule_agrees_without_any_network(evaluator, held):
    assert (
        block(PERFECT, evaluator, held)["agreement"]["hair_by_colour"]["translated"]["value"] > 0.95
    )
    flat = block(FLAT, evaluator, held)["agreement"]["hair_by_colour"]["translated"]
    assert flat["value"] == 0.5  # one colour for all is right for one class


def test_unknown_labels_are_not_counted(evaluator, held):
    smile = block(PERFECT, evaluator, held)["agreement"]["smile"]["translated"]
    assert smile["n"] == (held["val"]["photos"].labels["smile"] != "unknown").sum() < 48


def test_cycle_error_and_size(evaluator, held):
    assert block(PERFECT, evaluator, held)["cycle_l1"] == 0
    black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    assert l1(black, black + 51) == pytest.approx(0.2)
    assert measure.count_parameters(PERFECT) == 9


def test_training_measures_on_its_way_what_evaluation_measures_at_the_end(evaluator, held):
    pair = tuple(held["val"][name] for name in ("photos", "anime"))
    there = HeldOut(pair, grid_space()).measure(NOT_LOOKING)["kid_photos2anime"]
    kid = block(NOT_LOOKING, evaluator, held)["quality"]["kid"]["translated"]["value"]
    assert there == pytest.approx(kid, rel=1e-9)


def test_truth_replaces_tags_where_it_is_known(evaluator, held):
    photos = held["val"]["photos"]
    flipped = photos.labels["hair"].map({"black": "blonde", "blonde": "black"})
    known = pd.DataFrame({"hair": flipped.to_numpy()}, index=photos.ids).iloc[:40]
    result = measure.evaluate(PERFECT, FLAT, evaluator, held, {"photos": known})["val"]
    agreement = result["photos2anime"]["agreement_with_truth"]["hair"]["translated"]
    assert agreement["value"] < 0.05 and agreement["n"] == 40
    assert "agreement_with_truth" not in result["anime2photos"]
    nobody = known.rename(index=lambda name: f"not {name}")
    result = measure.evaluate(PERFECT, FLAT, evaluator, held, {"photos": nobody})["val"]
    assert "agreement_with_truth" not in result["photos2anime"]


def test_too_few_held_out_images_end_in_one_line(evaluator, held):
    few = {s: {n: d.take(range(3)) for n, d in ds.items()} for s, ds in held.items()}
    with pytest.raises(ModelError, match=r"at least 8 real images, there are 3"):
        measure.evaluate(PERFECT, FLAT, evaluator, few, {})


def test_truth_is_matched_by_file_and_by_place(tmp_path: Path):
    drawn = {
        "hair_colour": "red",
        "eye_colour": "blue",
        "smile": 0.9,
        "glasses": False,
        "gender": "female",
    }
    eyes = {"left_eye_x": 50.0, "left_eye_y": 60.0, "right_eye_x": 80.0, "right_eye_y": 60.0}
    anime = {"domain": "anime", "source": "booru", "post_id": "7", **drawn, **eyes}
    far = {**anime, "left_eye_x": 250.0, "right_eye_x": 280.0, "hair_colour": "blue"}
    photo = {**anime, "domain": "photos", "source": "celeba", "post_id": "000003.jpg", "smile": 0.1}
    tables.write_frame(tmp_path, "truth", pd.DataFrame([anime, far, photo]))
    places = {"a": 249.0, "b": 53.0, "c": 150.0}
    found = [
        {"id": i, "source": "booru", "post_id": "7", "left_x": x, "left_y": 61.0}
        for i, x in places.items()
    ]
    folders = {"anime": tmp_path / "anime", "photos": tmp_path / "photos"}
    tables.write_frame(folders["anime"], "faces", pd.DataFrame(found))
    kept = pd.DataFrame([{"id": "p", "file": "000003.jpg"}, {"id": "q", "file": "000004.jpg"}])
    tables.write_frame(folders["photos"], "photos", kept)
    known = truth.read_truth(tmp_path / "truth-00000.parquet", folders)
    assert known["anime"]["hair"].to_dict() == {"a": "blue", "b": "red"}  # c is no drawn face
    assert known["photos"].loc["p"].to_dict() == {
        "hair": "red",
        "eyes": "blue",
        "smile": "no",
        "glasses": "no",
        "gender": "female",
    }
    assert truth.read_truth(tmp_path / "none.parquet", folders) == {}


@pytest.fixture
def project(tmp_path, monkeypatch, evaluator, train, held) -> Path:
    """A folder with splits, a recognizer, an untrained variant ``tiny`` and params."""
    monkeypatch.chdir(tmp_path)
    for split, domains in {"train": train, **held}.items():
        for name, data in domains.items():
            (evaluate.SPLITS / split).mkdir(parents=True, exist_ok=True)
            rgb = channels_last(data.images)
            images = [{"bytes": tables.encode_png(x), "path": None} for x in rgb]
            frame = data.labels.assign(id=data.ids, image=images)
            tables.write_frame(evaluate.SPLITS / split, name, frame)
    save_recognizer(evaluate.EVALUATOR, evaluator.recognizer)
    variant = Variant("tiny", channels=4, blocks=1, discriminator_channels=4)
    translator = untrained_translator(variant, SIZE, seed=5)
    save_translator(evaluate.CHECKPOINTS / "tiny", translator, key="k1", images_seen=0)
    sections = {"evaluate": SETTINGS.model_dump(), "compute": {"device": "cpu", "threads": 2}}
    sections["align"] = {"size": SIZE, "eye_distance": 0.26, "eye_line": 0.5, "max_border": 0.3}
    sections["variants"] = {"tiny": {}, "absent": {}}
    Path("params.yaml").write_text(json.dumps(sections))
    return tmp_path


def test_stage_logs_into_the_run_of_its_training_and_repeats_itself(project, fake_run, monkeypatch):
    monkeypatch.setattr("pipeline.evaluate.evaluator.ranking_space", lambda _: grid_space())
    evaluate.main("tiny")
    path = stage.METRICS / "tiny.json"
    first, metrics = path.read_bytes(), json.loads(path.read_bytes())
    assert (fake_run.name, fake_run.key) == ("train@tiny", "k1")
    assert set(metrics) == {"parameters", "comparable", "val", "test"}
    assert metrics["comparable"]["evaluator"].startswith("grid:00000000 recognizer:")
    assert metrics["val"]["photos2anime"]["faces"] == {}  # of noise, where real images show none
    assert fake_run.tags == metrics["comparable"]
    value = metrics["val"]["photos2anime"]["quality"]["kid"]["translated"]["value"]
    logged = fake_run.logged
    assert logged["quality/kid_photos2anime"] == pytest.approx(value, abs=1e-6)
    assert logged["kid"] == pytest.approx(value, abs=1e-3)
    assert {"kept", "cycle", "kept/hair_anime2photos"} <= set(logged)
    assert not {"face_found", "minutes"} & set(logged)  # unknown here
    assert not [name for name in logged if "test" in name]
    for direction in ("photos2anime", "anime2photos"):
        sheet = tables.decode((stage.SHEETS / f"evaluate/tiny/{direction}.png").read_bytes())
        assert sheet.shape[1] > 6 * 128 and sheet.std() > 5
    evaluate.main("tiny")
    assert path.read_bytes() == first


def test_a_variant_that_is_not_trained_says_so(project, fake_run):
    with pytest.raises(ModelError, match="train first"):
        evaluate.main("absent")

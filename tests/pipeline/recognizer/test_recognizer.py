"""The recognizer stage: disjoint halves, refused heads, and what it writes."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.data.domain import Domain
from models.recognizer.training import load_recognizer, train_recognizer
from pipeline.core import params, stage, tables
from pipeline.core.errors import StageError
from pipeline.recognizer import __main__ as recognizer
from pipeline.recognizer import measures, pair
from tests.models.helpers import light_reader

HEADS = {"hair": ["black", "blonde", "blue"], "smile": ["no", "yes"]}
COLOURS = {"black": 30, "blonde": 220}
READER = light_reader(HEADS, 16, limit=125)  # tells black from blonde, and nothing of smiles


def domain(n: int, seed: int, size: int = 16) -> Domain:
    """Noise whose brightness is the hair label; every fifth label is unknown."""
    rng = np.random.default_rng(seed)
    hair = rng.choice(list(COLOURS), n)
    light = np.array([COLOURS[name] for name in hair]).reshape(-1, 1, 1, 1)
    images = np.clip(light + rng.normal(0, 20, (n, 3, size, size)), 0, 255).astype(np.uint8)
    labels = pd.DataFrame({"hair": hair, "smile": rng.choice(["no", "yes"], n)})
    labels.loc[::5, "hair"] = "unknown"
    return Domain(torch.from_numpy(images), [f"{seed}-{i:03d}" for i in range(n)], labels)


def settings(**changes) -> params.Recognizer:
    values = {"image_size": 16, "heads": HEADS, "channels": 4, "images": 400, "batch_size": 16}
    return params.Recognizer(**{**values, "lr": 0.01, "seed": 0, **changes})


def test_halves_are_disjoint_and_complete():
    whole = domain(41, 1)
    first, second = pair.halves(whole, seed=3)
    assert set(first.ids) | set(second.ids) == set(whole.ids)
    assert not set(first.ids) & set(second.ids)
    assert pair.halves(whole, seed=3)[0].ids == first.ids
    assert pair.halves(whole, seed=4)[0].ids != first.ids


def test_the_two_networks_share_neither_images_nor_weights(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def spy(domains, *args, **kwargs):
        seen.append({i for d in domains for i in d.ids})
        return train_recognizer(domains, *args, **kwargs)

    monkeypatch.setattr(pair, "train_recognizer", spy)
    train = {"photos": domain(60, 1), "anime": domain(60, 2)}
    trained = pair.train_pair(train, settings(images=32), "cpu")
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == 120
    first, second = (trained[role][0].body[0][0].weight for role in pair.ROLES)
    assert not torch.equal(first, second)


def test_a_head_with_one_known_class_is_refused_by_name():
    alone = domain(20, 1)
    alone.labels["smile"] = "no"
    with pytest.raises(StageError, match=r"head 'smile' has 1 known classes \(no\).*heads\.smile"):
        pair.check_heads([alone], HEADS)
    with pytest.raises(StageError, match=r"head 'glasses' has 0 known classes \(none\)"):
        pair.check_heads([alone], {"glasses": ["no", "yes"]})


def test_scores_leave_out_a_head_of_one_class():
    held = domain(20, 2)
    held.labels["smile"] = "yes"
    assert set(measures.scores(READER, {"photos": held})["photos"]) == {"hair"}


def test_confusion_counts_every_known_label():
    counts = measures.confusion(READER, domain(20, 2), "hair")
    labels = domain(20, 2).labels["hair"]
    assert list(counts.diagonal()) == [(labels == name).sum() for name in HEADS["hair"]]
    assert counts.sum() == counts.trace() == 16  # of 20, a fifth is unknown


def test_stage_scores_calibrates_and_writes_its_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_run
):
    monkeypatch.chdir(tmp_path)
    for split, n in (("train", 120), ("val", 30), ("test", 35)):
        for seed, name in enumerate(("photos", "anime")):
            write_split(Path("data/splits") / split, name, domain(n, seed + 10 * n))
    Path("params.yaml").write_text(
        json.dumps({"recognizer": settings().model_dump(), "compute": {"device": "cpu"}})
    )
    curve = pd.DataFrame({"images": [200, 400], "lr": 0.01, "hair": [0.7, 0.1], "smile": 0.7})
    monkeypatch.setattr(pair, "train_recognizer", lambda *_, **__: (deepcopy(READER), curve.copy()))
    recognizer.main()
    metrics = json.loads((stage.METRICS / "recognizer.json").read_text())
    assert metrics["evaluation"]["anime"]["hair"]["balanced"] == 1
    assert metrics["evaluation"]["anime"]["hair"]["images"] == 24  # the unknown ones are masked
    assert metrics["evaluation"]["anime"]["hair"]["chance"] == 0.5  # no blue hair among them
    error = metrics["evaluation"]["calibration_error"]["photos"]
    assert error["hair"]["images"] == 28 and error["smile"]["images"] == 35
    assert error["smile"]["after"] != error["smile"]["before"]
    networks = {role: load_recognizer(recognizer.OUT / role) for role in pair.ROLES}
    assert networks["evaluation"].temperatures["smile"] != 1
    assert metrics["training"]["temperature"] == pytest.approx(
        networks["training"].temperatures, abs=1e-6
    )
    assert load_recognizer(recognizer.OUT / "training").heads == HEADS
    losses = pd.read_csv(recognizer.CURVES)
    assert losses["evaluation_hair"].tolist() == [0.7, 0.1]
    for name in ("hair", "reliability"):
        assert tables.decode((recognizer.SHEETS / f"{name}.png").read_bytes()).std() > 10
    assert stage.SHEETS / "recognizer" in fake_run.artifacts
    assert fake_run.logged["training"]["photos"]["smile"]["images"] == 30


def write_split(folder: Path, name: str, data: Domain) -> None:
    images = [tables.encode_png(x) for x in data.images.permute(0, 2, 3, 1).contiguous().numpy()]
    frame = data.labels.assign(id=data.ids, image=[{"bytes": b, "path": None} for b in images])
    folder.mkdir(parents=True, exist_ok=True)
    tables.write_frame(folder, name, frame)

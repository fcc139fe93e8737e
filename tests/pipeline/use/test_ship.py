"""A shipped model draws what the trained one draws, in half the bytes; others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.checkpoint import (
    Translator,
    load_translator,
    save_translator,
    untrained_translator,
)
from models.errors import ModelError
from models.runtime.files import CONFIG, WEIGHTS
from models.variants import variant_from_dict
from pipeline.core.errors import StageError
from pipeline.use import ship as shipping
from pipeline.use.model import PRETRAINED, choose

TEMPLATE = {"template": {"size": 32, "eye_distance": 0.34, "eye_line": 0.44}}
VARIANT = variant_from_dict({"channels": 8, "blocks": 1, "norm": "layer"}, name="small")


def saved(folder: Path, origin: dict | None = TEMPLATE) -> Translator:
    translator = untrained_translator(VARIANT, 32, seed=1)
    save_translator(folder, translator, "0" * 64, 800, origin)
    return translator


def test_it_draws_the_same_in_half_the_bytes(tmp_path: Path) -> None:
    translator = saved(tmp_path / "trained")
    size = shipping.ship(tmp_path / "trained", tmp_path / "shipped")
    files = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("trained", "shipped")]
    assert size < files[1] < 0.6 * files[0]
    configs = [
        json.loads((tmp_path / name / CONFIG).read_text()) for name in ("trained", "shipped")
    ]
    hashes = {config.pop("weights_sha256") for config in configs}
    assert configs[0] == configs[1] and len(hashes) == 2
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for way in ("photos2anime", "anime2photos"):
        one = translator.translate(images, way).int()
        other = load_translator(tmp_path / "shipped", "cpu").translate(images, way).int()
        assert (one - other).abs().max() <= 3


@pytest.mark.parametrize("case", ["no model", "no template", "too large", "too wide"])
def test_what_cannot_be_shipped_is_refused_and_the_old_one_stays(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, into = tmp_path / "trained", tmp_path / "shipped"
    saved(folder, None if case == "no template" else TEMPLATE)
    saved(into)
    before = {path.name: path.read_bytes() for path in into.iterdir()}
    if case == "no model":
        (folder / WEIGHTS).unlink()
    if case == "too large":
        monkeypatch.setattr(shipping, "MOST_BYTES", 10)
    if case == "too wide":
        translator = untrained_translator(VARIANT, 32, seed=1)
        next(iter(translator.network.parameters())).data.fill_(1e6)
        save_translator(folder, translator, "0" * 64, 800, TEMPLATE)
    told = {
        "no model": "cannot read",
        "no template": "no template",
        "too large": "git",
        "too wide": "float16",
    }
    with pytest.raises((StageError, ModelError), match=told[case]):
        shipping.ship(folder, into)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == before


def test_the_shipped_model_is_whole_if_there_is_one() -> None:
    if not (PRETRAINED / CONFIG).is_file():
        pytest.skip("no model is shipped")
    model, told = choose("shipped")
    assert not told and not model.drawn and (PRETRAINED / "README.md").is_file()
    size = model.align.size
    images = torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8)
    assert model.load().translate(images, "photos2anime").float().std() > 5

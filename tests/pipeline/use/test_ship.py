"""A shipped model draws what the trained one draws, in half the bytes; others are refused."""

from __future__ import annotations

import json
from dataclasses import replace
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


def saved(folder: Path, origin: dict | None = TEMPLATE, seed: int = 1, **keys) -> Translator:
    variant = replace(VARIANT, **keys)
    translator = untrained_translator(variant, 32, seed=seed)
    save_translator(folder, translator, "0" * 64, 800, origin)
    return translator


def test_it_draws_the_same_in_half_the_bytes(tmp_path: Path) -> None:
    translator = saved(tmp_path / "trained")
    size = shipping.ship([tmp_path / "trained"], into=tmp_path / "shipped")
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
        shipping.ship([folder], into=into)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == before


def read(folder: Path) -> dict[str, torch.Tensor]:
    return load_translator(folder, "cpu").network.state_dict()


def test_of_several_the_mean_is_shipped(tmp_path: Path) -> None:
    ones = [saved(tmp_path / str(seed), seed=seed).network.state_dict() for seed in (1, 2)]
    shipping.ship([tmp_path / "1", tmp_path / "2"], into=tmp_path / "shipped")
    for name, weight in read(tmp_path / "shipped").items():
        wanted = ((ones[0][name] + ones[1][name]) / 2).half().float()
        torch.testing.assert_close(weight, wanted)


def test_one_direction_alone_is_changed(tmp_path: Path) -> None:
    saved(tmp_path / "new", seed=1)
    saved(tmp_path / "old", seed=2)
    shipping.ship([tmp_path / "old"], into=tmp_path / "shipped")
    shipping.ship([tmp_path / "new"], "photo", tmp_path / "shipped")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    shipping.ship([tmp_path / "new"], into=tmp_path / "whole")
    both, old, new = (load_translator(tmp_path / x, "cpu") for x in ("shipped", "old", "whole"))
    drawn = [x.translate(images, "photos2anime").int() for x in (both, old, new)]
    back = [x.translate(images, "anime2photos").int() for x in (both, old, new)]
    assert (drawn[0] - drawn[1]).abs().max() <= 3 and (drawn[0] - drawn[2]).abs().max() > 3
    assert torch.equal(back[0], back[2])


def test_models_of_two_kinds_are_not_put_together(tmp_path: Path) -> None:
    saved(tmp_path / "one")
    saved(tmp_path / "two", channels=16)
    saved(tmp_path / "xgan", architecture="xgan")
    with pytest.raises(StageError, match="two holds another kind of model"):
        shipping.ship([tmp_path / "one", tmp_path / "two"], into=tmp_path / "shipped")
    shipping.ship([tmp_path / "xgan"], into=tmp_path / "shipped")
    before = read(tmp_path / "shipped")
    with pytest.raises(StageError, match="another kind of model"):
        shipping.ship([tmp_path / "one"], "anime", tmp_path / "shipped")
    with pytest.raises(StageError, match="without --to"):
        shipping.ship([tmp_path / "xgan"], "anime", tmp_path / "shipped")
    assert all(torch.equal(x, before[name]) for name, x in read(tmp_path / "shipped").items())


def test_the_shipped_model_is_whole_if_there_is_one() -> None:
    if not (PRETRAINED / CONFIG).is_file():
        pytest.skip("no model is shipped")
    model, told = choose("shipped")
    assert not told and not model.drawn and (PRETRAINED / "README.md").is_file()
    size = model.align.size
    images = torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8)
    assert model.load().translate(images, "photos2anime").float().std() > 5

"""What a translator takes, gives and survives on disk."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.errors import ModelError
from tests.models.helpers import assert_same_pictures, domain, variant

IMAGES = domain("photos", 5).images


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
def test_round_trip_gives_the_same_images_and_the_same_bytes(architecture, tmp_path):
    translator = untrained_translator(variant(architecture), 32, seed=3)
    for folder in ("a", "b"):
        save_translator(tmp_path / folder, translator, key="k", images_seen=12)
    loaded = load_translator(tmp_path / "a", device="cpu")
    assert loaded.variant == translator.variant
    for direction in ("photos2anime", "anime2photos"):
        expected = translator.translate(IMAGES, direction)
        assert_same_pictures(loaded.translate(IMAGES, direction), expected)
    for name in ("generator.safetensors", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "config.json",
        "generator.safetensors",
    ]


def test_weights_open_without_this_project(tmp_path):
    save_translator(tmp_path, untrained_translator(variant("xgan"), 32, 0), "k", images_seen=12)
    with safe_open(tmp_path / "generator.safetensors", framework="pt") as file:
        assert any(name.startswith("deep_encoders.both") for name in file.keys())  # noqa: SIM118
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["image_size"], config["images_seen"], config["key"]) == (32, 12, "k")
    assert config["variant"]["architecture"] == "xgan"


def test_batch_size_does_not_change_the_result():
    translator = untrained_translator(variant("cyclegan"), 32, seed=0)
    small, large = (translator.translate(IMAGES, "photos2anime", batch_size=b) for b in (2, 64))
    assert small.shape == IMAGES.shape
    assert_same_pictures(small, large)
    assert translator.translate(IMAGES[:0], "photos2anime").shape == (0, 3, 32, 32)


def test_translations_depend_on_the_direction_and_the_seed():
    spec = variant("cyclegan")
    first = untrained_translator(spec, 32, seed=0)
    there = first.translate(IMAGES, "photos2anime")
    assert not torch.equal(there, first.translate(IMAGES, "anime2photos"))
    assert not torch.equal(
        there, untrained_translator(spec, 32, seed=1).translate(IMAGES, "photos2anime")
    )


def test_making_a_control_leaves_the_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    untrained_translator(variant("cyclegan"), 32, seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_reconstruction_is_what_the_variant_trains():
    auto = untrained_translator(variant("xgan"), 32, seed=0)
    x = IMAGES.float() / 127.5 - 1
    with torch.no_grad():
        decoded = auto.network.decode(auto.network.encode(x, "photos"), "photos")
    drawn = auto.reconstruct(IMAGES, "photos").float() / 127.5 - 1
    torch.testing.assert_close(drawn, decoded, atol=1 / 127, rtol=0)
    cycle = untrained_translator(variant("cyclegan"), 32, seed=0)
    with torch.no_grad():
        back = cycle.network.translate(cycle.network.translate(x, "photos2anime"), "anime2photos")
    drawn = cycle.reconstruct(IMAGES, "photos").float() / 127.5 - 1
    torch.testing.assert_close(drawn, back, atol=1 / 127, rtol=0)


@pytest.mark.parametrize(
    ("images", "direction", "message"),
    [
        (IMAGES, "photo2anime", "unknown direction 'photo2anime'"),
        (IMAGES.float(), "photos2anime", r"takes uint8 \[N, 3, 32, 32\], got torch.float32"),
        (IMAGES[:, :, :16, :16], "photos2anime", "takes uint8"),
        (IMAGES[0], "photos2anime", "takes uint8"),
    ],
)
def test_wrong_input_is_refused(images, direction, message):
    with pytest.raises(ModelError, match=message):
        untrained_translator(variant("cyclegan"), 32, 0).translate(images, direction)


def test_absent_broken_and_unfitting_checkpoints_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*config.json \(.*\): train first"):
        load_translator(tmp_path)
    save_translator(tmp_path, untrained_translator(variant("xgan"), 32, 0), "k", images_seen=0)
    whole = (tmp_path / "generator.safetensors").read_bytes()
    (tmp_path / "generator.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="is not what was written"):
        load_translator(tmp_path)
    (tmp_path / "generator.safetensors").write_bytes(whole)
    config = json.loads((tmp_path / "config.json").read_text())
    config["variant"]["channels"] = 8
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit"):
        load_translator(tmp_path)


BROKEN = {
    "no object": [],
    "text": "x",
    "nothing": None,
    "no variant": {"variant": 0},
    "a variant that is text": {"variant": "xgan"},
    "no name": {"variant": {}},
    "blocks without end": {"blocks": 10**9},
    "blocks of text": {"blocks": "6"},
    "channels without end": {"channels": 10**9},
    "a code without end": {"embedding": 10**12},
    "a size of text": {"image_size": "32"},
    "a size without end": {"image_size": 10**9},
    "a size below nothing": {"image_size": -32},
    "an unknown key": {"blokcs": 3},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_is_refused_at_once(name, tmp_path):
    save_translator(tmp_path, untrained_translator(variant("xgan"), 32, 0), "k", images_seen=0)
    config, change = json.loads((tmp_path / "config.json").read_text()), BROKEN[name]
    if isinstance(change, dict):
        top = set(change) & set(config)
        (config if top else config["variant"]).update(change)
    else:
        config = change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as error:
        load_translator(tmp_path)
    assert "\n" not in str(error.value)


def test_what_the_images_were_stands_in_the_config_and_changes_no_weight(tmp_path):
    translator = untrained_translator(variant("cyclegan"), 32, 0)
    template = {"size": 32, "eye_distance": 0.3, "eye_line": 0.5}
    save_translator(tmp_path / "a", translator, "k", 12)
    save_translator(tmp_path / "b", translator, "k", 12, {"template": template, "data": "drawn"})
    plain, told = (json.loads((tmp_path / x / "config.json").read_text()) for x in "ab")
    assert told == {**plain, "template": template, "data": "drawn"}
    weights = [(tmp_path / x / "generator.safetensors").read_bytes() for x in "ab"]
    assert weights[0] == weights[1]
    assert load_translator(tmp_path / "b", "cpu").variant == translator.variant

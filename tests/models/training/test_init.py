"""A variant with `init` starts from a trained model, of its own layers, and from no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.errors import ModelError
from models.runtime.files import CONFIG, PRETRAINED, SHIPPED, WEIGHTS, read_json
from models.training.engine import new_networks, train
from models.training.keys import training_key
from models.variants import BUILT_IN, variant_from_dict
from tests.models.helpers import domain, settings, variant

PHOTOS, ANIME = domain("photos"), domain("anime")
HELD_OUT = (domain("photo val", 3), domain("anime val", 3))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model; that it is not what any seed below begins with is all it must be."""
    folder = tmp_path_factory.mktemp("model")
    save_translator(folder, untrained_translator(variant("cyclegan"), 32, seed=77), "key", 0)
    return folder


def test_training_starts_from_the_weights_of_init(trained: Path) -> None:
    spec = variant("cyclegan", init=str(trained))
    result = train(spec, settings(budget_images=4, lr=1e-12), PHOTOS, ANIME, HELD_OUT)
    wanted = load_translator(trained, "cpu").network.state_dict()
    for name, value in result.translator.network.state_dict().items():
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=0)


def test_discriminators_and_the_rest_begin_as_without_init(trained: Path) -> None:
    cpu = torch.device("cpu")
    with_it, without = (
        new_networks(variant("cyclegan", **start), settings(), None, cpu).discriminators
        for start in ({"init": str(trained)}, {})
    )
    for name, value in with_it.state_dict().items():
        assert torch.equal(value, without.state_dict()[name]), name


def test_larger_images_may_start_from_smaller_ones(trained: Path) -> None:
    spec = variant("cyclegan", init=str(trained))
    networks = new_networks(spec, settings(image_size=64), None, torch.device("cpu"))
    assert networks.translator.translate(torch.zeros(1, 3, 64, 64), "photos2anime").shape[-1] == 64


def test_an_xgan_that_starts_from_a_cyclegan_draws_photos_as_it_does(trained: Path) -> None:
    spec = variant("xgan", init=str(trained))
    started = new_networks(spec, settings(), None, torch.device("cpu")).translator
    cyclegan = load_translator(trained, "cpu").network
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    there, back = "photos2anime", "anime2photos"
    assert torch.equal(started.translate(images, there), cyclegan.translate(images, there))
    assert not torch.equal(started.translate(images, back), cyclegan.translate(images, back))
    own = dict(cyclegan.named_parameters())
    for part in ("shallow_encoders.anime", "shallow_decoders.photos"):
        for name, value in started.get_submodule(part).named_parameters():
            assert torch.equal(value, own[f"{part}.{name}"])


def test_a_cyclegan_does_not_start_from_an_xgan(tmp_path: Path) -> None:
    save_translator(tmp_path, untrained_translator(variant("xgan"), 32, seed=77), "key", 0)
    with pytest.raises(ModelError, match="which has architecture: xgan"):
        new_networks(variant("cyclegan", init=str(tmp_path)), settings(), None, torch.device("cpu"))


@pytest.mark.parametrize("match_hair", [True, False])
def test_the_shipped_model_can_be_started_from(match_hair: bool) -> None:
    """What it knows of hair is not taken over: that is learned anew, of the images there are."""
    config = read_json(PRETRAINED / CONFIG)["variant"]
    spec = variant_from_dict({**config, "init": SHIPPED, "match_hair": match_hair})
    started = new_networks(spec, settings(image_size=64), None, torch.device("cpu")).translator
    wanted = load_translator(PRETRAINED, "cpu").network
    assert wanted.hair.photos.known.sum() > 1
    wanted.hair = None
    assert not match_hair or not started.hair.photos.known.any()
    started.hair = None
    for name, value in started.state_dict().items():
        assert torch.equal(value, wanted.state_dict()[name]), name


def test_the_key_changes_with_the_weights_not_only_with_their_place(
    trained: Path, tmp_path: Path
) -> None:
    def key(folder: Path) -> str:
        return training_key(variant("cyclegan", init=str(folder)), settings(), PHOTOS, ANIME)

    before = key(trained)
    assert before == key(trained)
    config = (trained / CONFIG).read_bytes()
    (tmp_path / CONFIG).write_bytes(config)
    (tmp_path / WEIGHTS).write_bytes((trained / WEIGHTS).read_bytes())
    first = key(tmp_path)
    save_translator(tmp_path, untrained_translator(variant("cyclegan"), 32, seed=5), "key", 0)
    assert key(tmp_path) != first
    plain = training_key(variant("cyclegan"), settings(), PHOTOS, ANIME)
    assert plain not in (before, first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 8}, "cannot start from .* which has channels: 4"),
        ({"upsampling": "nearest"}, "which has upsampling: transposed: give it the same"),
        ({"labels": {"hair": ["black", "red"]}}, "which has labels"),
    ],
)
def test_another_network_is_refused(trained: Path, change: dict, message: str) -> None:
    spec = variant("cyclegan", init=str(trained), **change)
    with pytest.raises(ModelError, match=message):
        new_networks(spec, settings(), None, torch.device("cpu"))


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS, "both"])
def test_an_absent_or_broken_model_ends_in_one_line(
    trained: Path, tmp_path: Path, missing: str
) -> None:
    for file in {CONFIG, WEIGHTS} - {missing} if missing != "both" else ():
        (tmp_path / file).write_bytes((trained / file).read_bytes())
    spec = variant("cyclegan", init=str(tmp_path))
    with pytest.raises(ModelError, match="cannot read") as error:
        train(spec, settings(), PHOTOS, ANIME, HELD_OUT)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"variant": 3}'])
def test_a_config_that_is_none_ends_in_one_line(
    trained: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / CONFIG).write_text(content)
    (tmp_path / WEIGHTS).write_bytes((trained / WEIGHTS).read_bytes())
    spec = variant("cyclegan", init=str(tmp_path))
    with pytest.raises(ModelError, match="is no trained model's|it holds a list"):
        train(spec, settings(), PHOTOS, ANIME, HELD_OUT)


def test_init_and_pretraining_exclude_each_other(trained: Path) -> None:
    with pytest.raises(ModelError, match="nothing to pretrain: drop one"):
        variant("cyclegan", init=str(trained), pretraining=0.5)
    assert BUILT_IN["cyclegan"].init == ""

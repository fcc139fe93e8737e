"""Style transfer: Gram matrices and losses by hand, and a translator that learnt nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torchvision.models import VGG19_Weights

from models.checkpoint import load_translator, save_translator, untrained_translator
from models.errors import ModelError
from models.recognizer.network import Recognizer
from models.style_transfer import (
    RATE,
    VGG19,
    StyleTransfer,
    cached_vgg19,
    changed,
    content_loss,
    gram,
    style_loss,
    trained_features,
)
from models.training.engine import train
from models.variants import BUILT_IN, variant_from_dict
from tests.models.helpers import assert_same_pictures, domain, settings

PHOTOS, ANIME = domain("photos", 8), domain("anime", 8)
PHOTOS = replace(PHOTOS, images=PHOTOS.images // 4)  # dark: one style is not the other
DIRECTIONS = ("photos2anime", "anime2photos")


def gatys(**changes):
    return variant_from_dict({"architecture": "gatys", "style_steps": 20, **changes}, name="gatys")


def recognizer() -> Recognizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recognizer({"smile": ["no", "yes"]}, 4, 32).eval()


def fitted(**changes) -> StyleTransfer:
    network = StyleTransfer(gatys(**changes), trained_features("recognizer", recognizer()))
    network.fit({"photos": PHOTOS, "anime": ANIME}, batch_size=3)
    return network


@pytest.fixture(scope="module")
def result():
    held = PHOTOS.take(range(3)), ANIME.take(range(3))
    return train(gatys(), settings(), PHOTOS, ANIME, held, recognizer=recognizer())


def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])  # two channels at two positions
    assert gram(features).tolist() == [[[2.5, 1.5], [1.5, 4.5]]]
    # As often as you like the same positions: the same statistics.
    assert torch.equal(gram(features.repeat(1, 1, 2, 2)), gram(features))


def test_losses_against_numpy():
    rng = np.random.default_rng(0)
    shapes = [(2, 3, 4, 4), (2, 5, 2, 2)]
    features = [rng.normal(size=shape) for shape in shapes]
    styles = [rng.normal(size=(shape[1], shape[1])) for shape in shapes]
    expected = np.zeros(2)
    for found, wanted in zip(features, styles, strict=True):
        for n in range(2):
            flat = found[n].reshape(len(found[n]), -1)
            error = flat @ flat.T / flat.shape[1] - wanted
            expected[n] += (error**2).sum() / (wanted**2).sum() / 2
    drawn = style_loss([torch.tensor(f) for f in features], [torch.tensor(s) for s in styles])
    np.testing.assert_allclose(drawn.numpy(), expected)
    source = rng.normal(size=shapes[0])
    expected = ((features[0] - source) ** 2).sum((1, 2, 3)) / (source**2).sum((1, 2, 3))
    kept = content_loss(torch.tensor(features[0]), torch.tensor(source))
    np.testing.assert_allclose(kept.numpy(), expected)


def test_losses_are_zero_at_their_targets_and_style_is_one_without_features():
    features = torch.rand(1, 3, 4, 4)
    assert style_loss([features], [gram(features)[0]]).item() == 0
    assert content_loss(features, features).item() == 0
    assert style_loss([torch.zeros(1, 3, 4, 4)], [torch.rand(3, 3)]).item() == pytest.approx(1)


def test_gradients():
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    features, style, source = random(2, 3, 4, 4), random(3, 3), random(2, 3, 4, 4)
    features.requires_grad_()
    assert gradcheck(lambda f: style_loss([f], [style]), features)
    assert gradcheck(lambda f: content_loss(f, source), features)
    # Through the network and down to the change, with no pixel near a kink of clamp.
    network = fitted().double()
    images = random(1, 3, 32, 32) - 0.5
    change = (0.1 * random(1, 3, 16, 16)).requires_grad_()
    content = network.features.body(images)

    def objective(x: torch.Tensor) -> torch.Tensor:
        drawn = changed(images, x)
        found = network.features.body(drawn)
        grams = [network.style("anime")[-1]]
        return (content_loss(found, content) + style_loss([found], grams)).sum()

    assert gradcheck(objective, change, fast_mode=True)


def test_a_style_is_the_mean_over_the_images_whatever_the_batch():
    network = fitted()
    images = ANIME.images.float() / 127.5 - 1
    depths = [network.features.depths(image[None]) for image in images]
    for depth, style in enumerate(network.style("anime")):
        mean = torch.stack([gram(found[depth])[0] for found in depths]).mean(0)
        torch.testing.assert_close(style, mean)
    before = [style.clone() for style in network.style("photos")]
    network.fit({"photos": PHOTOS})  # again: the same, not twice as much
    for one, other in zip(network.style("photos"), before, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_translations_come_closer_to_the_style_and_keep_the_content(direction):
    source, target = direction.split("2")
    network, strict = fitted(style_steps=60), fitted(style_weight=0)
    images = (PHOTOS if source == "photos" else ANIME).images.float() / 127.5 - 1
    with torch.no_grad():
        content = network.features.depths(images)[-2]
        _, before = network.losses(images, content, target)
        kept, after = network.losses(network.translate(images, direction), content, target)
        opposite = network.translate(images, f"{target}2{source}")
        _, wrong_way = network.losses(opposite, content, target)
        # The style moves the image; without its weight nothing does.
        still = strict.translate(images, direction)
    assert after.mean() < 0.7 * before.mean()
    if source == "photos":  # anime faces come closer to the dark photos either way
        assert after.mean() < 0.7 * wrong_way.mean()
    assert kept.mean() < 1
    torch.testing.assert_close(still, images)


def test_other_images_in_the_batch_change_nothing(result):
    translate = result.translator.translate
    whole = translate(PHOTOS.images, "photos2anime")
    parts = translate(PHOTOS.images, "photos2anime", batch_size=3)
    alone = translate(PHOTOS.images[5:6], "photos2anime")
    # Sums of another batch round otherwise, which Adam's first steps may turn into a level.
    for other, same in ((parts, whole), (alone, whole[5:6])):
        difference = (other.int() - same.int()).abs()
        assert difference.float().mean() < 0.05
        assert difference.max() <= 3
    assert torch.equal(translate(PHOTOS.images, "photos2anime"), whole)


def test_training_takes_statistics_and_reports_what_they_do(result):
    row = result.history.to_dict("records")
    assert [r["images"] for r in row] == [8]
    assert row[0]["style"] < row[0]["style_of_source"]
    assert (result.images_seen, result.resumed_from) == (8, 0)
    again = train(gatys(), settings(), PHOTOS, ANIME, (PHOTOS, ANIME), recognizer=recognizer())
    assert again.key == result.key
    first = result.translator.network.state_dict()
    for name, value in again.translator.network.state_dict().items():
        assert torch.equal(value, first[name]), name


def test_round_trip_needs_no_recognizer_and_gives_the_same_bytes(result, tmp_path):
    for folder in ("a", "b"):
        save_translator(tmp_path / folder, result.translator, result.key, result.images_seen)
    loaded = load_translator(tmp_path / "a", device="cpu")
    assert loaded.variant == result.translator.variant
    for direction in DIRECTIONS:
        expected = result.translator.translate(PHOTOS.images, direction)
        assert_same_pictures(loaded.translate(PHOTOS.images, direction), expected)
    for name in ("generator.safetensors", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert config["features"] == {"channels": 4, "image_size": 32}
    assert set(config["variant"]) == {
        "name", "architecture", "style_steps", "style_weight", "style_features",
    }  # fmt: skip
    config["features"]["channels"] = 8
    (tmp_path / "a/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit"):
        load_translator(tmp_path / "a")


def test_it_is_a_translator_as_any_other(result):
    translator = result.translator
    back = translator.reconstruct(PHOTOS.images[:2], "photos")
    assert back.dtype == torch.uint8
    assert back.shape == (2, 3, 32, 32)
    there = translator.translate(PHOTOS.images[:2], "photos2anime")
    assert not torch.equal(there, PHOTOS.images[:2])
    way_back = translator.translate(there, "anime2photos")  # of what was rounded to uint8
    assert (back.int() - way_back.int()).abs().float().mean() < 2
    assert translator.device.type == "cpu"
    assert translator.image_size == 32
    counted = sum(weight.numel() for weight in translator.network.parameters())
    assert counted == sum(weight.numel() for weight in recognizer().body.parameters())
    with pytest.raises(ModelError, match="unknown direction"):
        translator.translate(PHOTOS.images, "photo2anime")
    with pytest.raises(ModelError, match="takes uint8"):
        translator.translate(PHOTOS.images[:, :, :16, :16], "photos2anime")


@pytest.mark.parametrize("features", ["recognizer", "vgg19"])
def test_the_control_is_a_copy(features):
    control = untrained_translator(gatys(style_features=features), 32, seed=3)
    assert torch.equal(control.translate(PHOTOS.images, "photos2anime"), PHOTOS.images)
    assert control.variant.style_steps == 20


def test_steps_become_smaller_so_that_an_image_comes_to_rest():
    images = PHOTOS.images.float() / 127.5 - 1
    moved = (fitted().translate(images, "photos2anime") - images).abs().max()
    assert 0 < moved < RATE * 20 * 0.75  # of Adam's steps of at most RATE, half of it in all


def test_the_recognizer_given_is_left_as_it_was():
    judge = recognizer()
    StyleTransfer(gatys(), trained_features("recognizer", judge)).fit({"photos": PHOTOS})
    assert judge.fingerprint() == recognizer().fingerprint()
    assert all(weight.requires_grad for weight in judge.parameters())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"channels": 16}, "`channels` means nothing to architecture gatys: remove it"),
        ({"losses": {"cycle": 1}}, "`losses` means nothing to architecture gatys"),
        ({"labels": {}}, "(it has style_steps, style_weight, style_features)"),
        ({"style_steps": 2.5}, "`style_steps` must be a whole number from 0"),
        ({"style_weight": -1}, "`style_weight` must be a number from 0"),
        ({"style_features": "vgg"}, "did you mean 'vgg19'"),
        ({"steps": 5}, "did you mean 'style_steps'"),
        ({"architecture": "xgan", "style_steps": 5}, "means nothing to architecture xgan"),
    ],
)
def test_keys_that_make_no_sense_are_named(data, message):
    with pytest.raises(ModelError) as error:
        variant_from_dict({"architecture": "gatys", **data}, name="v")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_other_variants_say_nothing_of_style():
    assert not any(key.startswith("style_") for key in BUILT_IN["cyclegan"].to_dict())


def test_a_recognizer_is_asked_for():
    with pytest.raises(ModelError, match="needs a recognizer's features: train one first"):
        train(gatys(), settings(), PHOTOS, ANIME, (PHOTOS, ANIME))


def test_vgg_comes_from_the_cache_or_not_at_all(tmp_path):
    path = tmp_path / VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    with pytest.raises(ModelError, match=f"{path.name}: put them there, or set"):
        cached_vgg19(tmp_path)
    weights = VGG19().state_dict()
    torch.save({**weights, "classifier.0.bias": torch.zeros(3)}, path)
    found = cached_vgg19(tmp_path).eval()
    assert all(torch.equal(value, weights[name]) for name, value in found.state_dict().items())
    depths = found.depths(torch.zeros(1, 3, 32, 32))
    assert [tuple(f.shape[1:]) for f in depths] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="does not hold VGG-19's weights"):
        cached_vgg19(tmp_path)

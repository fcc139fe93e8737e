"""Masked squares are restored first: what is masked, what is learnt, what is kept and shared."""

from __future__ import annotations

from dataclasses import fields, replace

import pandas as pd
import pytest
import torch

from models.data.domain import Domain
from models.losses import functions as losses
from models.networks.training_networks import TrainingNetworks
from models.runtime.sampling import reseed
from models.training.batches import Batches
from models.training.callback import Silent
from models.training.engine import train
from models.training.pretraining import (
    STREAM,
    TRANSLATOR_KEYS,
    mask_squares,
    masked_sheet,
    pretrain,
    pretraining_images,
    pretraining_key,
    restoration_loss,
)
from models.training.state import load_state, state_path
from models.variants import Variant, variant_from_dict
from tests.models.helpers import assert_descends, domain, settings, variant

HAIR = {"hair": ["black", "blonde"]}


def labelled(name: str, count: int = 16) -> Domain:
    hair = [*HAIR["hair"], "unknown"] * count
    return replace(domain(name, count), labels=pd.DataFrame({"hair": hair[:count]}))


PHOTOS, ANIME = labelled("photos"), labelled("anime")
HELD_OUT = (labelled("photo val", 3), labelled("anime val", 3))
CPU = torch.device("cpu")


def batches_of(spec: Variant, plan, photos: Domain = PHOTOS) -> Batches:
    return Batches(spec, plan, photos, ANIME, CPU)


def weights(result) -> dict[str, torch.Tensor]:
    return result.translator.network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_masked_reconstruction_is_the_mean_over_the_whole_image():
    real = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]], dtype=torch.float64)
    restored = torch.tensor([[[[0.5, -1.0], [0.5, -0.3]]]], dtype=torch.float64)
    assert losses.masked_reconstruction(restored, real).item() == pytest.approx((0.5 + 0.3) / 4)
    away = (restored + 0.1).requires_grad_()  # |x| has no gradient at 0
    assert torch.autograd.gradcheck(losses.masked_reconstruction, (away, real))


@pytest.mark.parametrize(("size", "side"), [(64, 8), (36, 4)])
def test_four_tenths_of_the_squares_become_grey_and_the_rest_stays(size, side):
    torch.manual_seed(0)
    images = torch.rand(200, 3, size, size) + 0.1
    masked = mask_squares(images)
    grey = masked == 0
    assert torch.equal(masked[~grey], images[~grey])
    assert (grey == grey[:, :1]).all()  # all channels alike
    squares = grey[:, 0, : 8 * side, : 8 * side].unfold(1, side, side).unfold(2, side, side).float()
    means = squares.mean((3, 4))
    assert ((means == 0) | (means == 1)).all()  # whole squares
    assert means.mean() == pytest.approx(0.4, abs=0.02)
    assert means.mean(0).std() < 0.1  # anywhere
    assert (means[0] != means[1]).any()  # each image its own


def test_both_generators_restore_both_domains():
    spec = variant("cyclegan")
    network = TrainingNetworks(spec, 32).translator
    torch.manual_seed(3)
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    torch.manual_seed(5)
    loss = restoration_loss(network, real, {})
    torch.manual_seed(5)
    masked = mask_squares(torch.cat([real["photos"], real["anime"]])).split(2)
    parts = [
        (network.decode(network.encode(x, a), b) - real[d]).abs().mean()
        for a, b in (("photos", "anime"), ("anime", "photos"))
        for x, d in zip(masked, ("photos", "anime"), strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(parts).mean())


KINDS = {
    "cyclegan": ("cyclegan", {}),
    "residual": ("cyclegan", {"residual": True}),
    "self": ("cyclegan", {"attention": "self"}),
    "cam adalin": ("cyclegan", {"attention": "cam", "norm": "adalin"}),
    "labels": ("cyclegan", {"labels": HAIR}),
    "labels residual": ("cyclegan", {"labels": HAIR, "residual": True}),
    "xgan": ("xgan", {}),
    "xgan embedding": ("xgan", {"embedding": 16, "labels": HAIR, "antialias": True}),
    "published": ("xgan_published", {"embedding": 16}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_generator_learns_to_restore(kind):
    """A step lowers the loss on its batch, and in a training every weight takes part."""
    architecture, changes = KINDS[kind]
    spec = variant(architecture, **changes, pretraining=1.0)
    plan = settings(budget_images=16, batch_size=8, log_every=8)
    few = batches_of(spec, plan)
    torch.manual_seed(0)
    network = TrainingNetworks(spec, 32).translator
    before = {name: x.clone() for name, x in network.state_dict().items()}
    history = pretrain(network, spec, plan, few, None).history
    assert [row["images"] for row in history] == [8, 16]
    still = {name for name, x in network.state_dict().items() if torch.equal(x, before[name])}
    assert not still
    real, labels = few.at(few.orders(STREAM), 0)
    assert_descends(lambda: restoration_loss(network, real, labels), network.parameters())


def test_it_sees_its_share_of_the_budget_in_whole_batches():
    plan = settings(budget_images=64, batch_size=4)
    shares = {0.0: 0, 0.01: 0, 0.1: 4, 0.5: 32, 1.5: 96}
    for share, images in shares.items():
        assert pretraining_images(variant("cyclegan", pretraining=share), plan) == images


def test_its_draws_are_not_those_of_the_training():
    batches = batches_of(variant("cyclegan"), settings())
    reseed(0, 0, 0)
    main = batches.at(batches.orders(), 0)[0]
    reseed(0, STREAM, 0)
    before = batches.at(batches.orders(STREAM), 0)[0]
    assert not torch.equal(main["photos"], before["photos"])


def test_without_a_share_nothing_is_pretrained(monkeypatch):
    monkeypatch.setattr(losses, "masked_reconstruction", None)
    result = train(variant("cyclegan"), settings(budget_images=8), PHOTOS, ANIME, HELD_OUT)
    assert result.pretraining.empty
    assert result.pretraining_seconds == 0


class Stop(Silent):
    """Ends a run when the training itself begins to log."""

    def on_log(self, images, metrics):
        raise KeyboardInterrupt


def test_training_goes_on_from_the_restored_weights_and_resumes_with_their_history(tmp_path):
    spec, plan = variant("xgan", pretraining=0.5), settings(log_every=16)
    whole = train(spec, plan, PHOTOS, ANIME, HELD_OUT)
    assert whole.pretraining["images"].tolist() == [16, 32]
    assert list(whole.pretraining) == ["images", "masked_reconstruction"]
    assert whole.history["images"].tolist() == [16, 32, 48, 64]
    assert whole.pretraining_seconds > 0
    without = train(variant("xgan"), plan, PHOTOS, ANIME, HELD_OUT)
    assert not same(weights(whole), weights(without))

    with pytest.raises(KeyboardInterrupt):
        train(spec, plan, PHOTOS, ANIME, HELD_OUT, tmp_path, Stop())
    pretraining = state_path(tmp_path, pretraining_key(spec, plan, batches_of(spec, plan).ids))
    pretraining.unlink()  # the state of the training is enough
    again = train(spec, plan, PHOTOS, ANIME, HELD_OUT, tmp_path)
    assert again.resumed_from == 8
    assert not pretraining.exists()
    assert again.pretraining.equals(whole.pretraining)
    assert again.pretraining_seconds > 0
    assert same(weights(again), weights(whole))


def test_a_second_variant_takes_over_what_was_pretrained(tmp_path, monkeypatch):
    first, plan = variant("cyclegan", pretraining=0.5), settings()
    train(first, plan, PHOTOS, ANIME, HELD_OUT, tmp_path)
    key = pretraining_key(first, plan, batches_of(first, plan).ids)
    finished = load_state(tmp_path, key)
    assert finished.keys() == {"key", "translator", "history", "images_seen", "seconds", "budget"}

    changes = {"losses": {"adversarial": 1, "cycle": 3}, "penalty": "r1", "discriminator_layers": 1}
    second = variant("cyclegan", pretraining=0.5, **changes)
    alone = train(second, plan, PHOTOS, ANIME, HELD_OUT)
    monkeypatch.setattr(losses, "masked_reconstruction", None)  # not called again
    shared = train(second, plan, PHOTOS, ANIME, HELD_OUT, tmp_path)
    assert same(weights(shared), weights(alone))
    assert shared.history.equals(alone.history)
    assert shared.pretraining.equals(alone.pretraining)
    assert shared.pretraining_seconds == finished["seconds"]


# Keys that the pretraining does not depend on. Each new key of a variant belongs here or among
# TRANSLATOR_KEYS, else its runs would share what they may not.
OTHERS = {
    "discriminator_channels": 16,
    "discriminator_layers": 1,
    "discriminator_attention": "cam",
    "discriminator_rate": 0.5,
    "discriminator_norm": "spectral",
    "discriminator_steps": 2,
    "diff_augment": ["cutout"],
    "discriminator": "projected",
    "discriminator_blur": 0.5,
    "adversarial_form": "hinge",
    "penalty": "r1",
    "penalty_weight": 1.0,
    "weight_clip": 0.1,
    "domain_form": "least_squares",
    "losses": {"adversarial": 1, "cycle": 3},
    "final_losses": {"cycle": 0},
    "return_noise": 0.1,
    "name": "other",
}
SHAPING = {
    "architecture": "xgan",
    "channels": 5,
    "blocks": 3,
    "embedding": 8,
    "upsampling": "nearest",
    "norm": "layer",
    "attention": "self",
    "antialias": True,
    "residual": True,
    "labels": HAIR,
    "flip": False,
    "shift": 0.1,
    "zoom": 0.1,
    "match_light": True,
    "match_hair": True,
}


def test_key_changes_with_what_decides_the_weights_and_nothing_else():
    base, plan = variant("cyclegan", pretraining=0.5, discriminator_channels=8), settings()
    assert set(SHAPING) == set(TRANSLATOR_KEYS)
    styles = {"style_steps", "style_weight", "style_features"}
    assert {f.name for f in fields(Variant)} == {*SHAPING, *OTHERS, *styles, "init", "pretraining"}

    def key(spec=base, photos=PHOTOS, **changes):
        changed = replace(plan, **changes)
        return pretraining_key(spec, changed, batches_of(spec, changed, photos).ids)

    def other(**change):
        return variant_from_dict({**base.to_dict(), **change})

    assert not {f for f in OTHERS if base.to_dict()[f] == OTHERS[f]}
    unchanged = [key(other(**{name: value})) for name, value in OTHERS.items()]
    unchanged += [key(decay_from=0.1, pool_size=3, ema_half_life=1.0, state_every=1)]
    unchanged += [key(other(pretraining=0.25), budget_images=128)]  # as many images
    assert set(unchanged) == {key()}
    decisive = [key(other(**{name: value})) for name, value in SHAPING.items()]
    decisive += [key(seed=1), key(lr=1e-3), key(batch_size=8), key(log_every=13)]
    decisive += [key(other(pretraining=0.25)), key(photos=PHOTOS.take(range(15)))]
    assert len({key(), *decisive}) == 1 + len(decisive)


def test_a_sheet_shows_masked_restored_and_real_faces():
    sheets = []

    class Recorder(Silent):
        def on_samples(self, images, sheet):
            sheets.append((images, sheet))

    spec = variant("cyclegan", pretraining=0.5, labels=HAIR)
    plan = settings(budget_images=8, sample_count=3)
    train(spec, plan, PHOTOS, ANIME, HELD_OUT, callback=Recorder())
    assert [images for images, _ in sheets] == [0, 8]
    sheet = sheets[0][1]
    assert sheet.dtype == torch.uint8
    tiles = sheet[:, 2:, 2:].unfold(1, 32, 34).unfold(2, 32, 34).permute(1, 2, 0, 3, 4)
    assert tiles.shape == (6, 3, 3, 32, 32)
    for masked, held in ((tiles[0], HELD_OUT[0]), (tiles[3], HELD_OUT[1])):
        assert ((masked == held.images) | (masked == 128)).all()
        assert 0.2 < (masked != held.images).float().mean() < 0.6
    assert torch.equal(tiles[2], HELD_OUT[0].images)
    assert torch.equal(tiles[5], HELD_OUT[1].images)
    network = TrainingNetworks(spec, 32).translator
    shown = list(HELD_OUT)
    assert torch.equal(
        masked_sheet(network, spec, plan, shown), masked_sheet(network, spec, plan, shown)
    )

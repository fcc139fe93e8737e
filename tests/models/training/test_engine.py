"""The training loop: it learns, logs, samples, guards and repeats itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.checkpoint import untrained_translator
from models.data.conditioning import one_hot
from models.data.domain import Domain
from models.domains import DOMAINS
from models.errors import ModelError
from models.losses import functions as losses
from models.losses.adversarial import FORMS
from models.losses.objective import (
    Step,
    discriminator_terms,
    generator_terms,
    weighted_sum,
)
from models.networks.training_networks import TrainingNetworks
from models.recognizer.network import Recognizer
from models.training.callback import Silent
from models.training.engine import train
from models.training.keys import training_key
from models.variants import LOSSES, Variant, variant_from_dict
from pipeline.core import yaml_files
from tests.models.helpers import assert_descends, domain, settings, variant

CLASSES = {
    "hair": ("black", "blonde"),
    "smile": ("no", "yes"),
    "glasses": ("no", "yes"),
    "gender": ("female", "male"),
}


def labelled(name: str) -> Domain:
    """A domain with every label that a row of the full profile asks for."""
    plain = domain(name)
    columns = {key: [pair[i % 2] for i in range(len(plain))] for key, pair in CLASSES.items()}
    return replace(plain, labels=pd.DataFrame(columns))


PHOTOS, ANIME = labelled("photos"), labelled("anime")
HELD_OUT = (domain("photo val", 3), domain("anime val", 3))


class Recorder(Silent):
    def __init__(self) -> None:
        self.logs: list[tuple[int, dict[str, float]]] = []
        self.sheets: list[tuple[int, torch.Tensor]] = []

    def on_log(self, images, metrics):
        self.logs.append((images, metrics))

    def on_samples(self, images, sheet):
        self.sheets.append((images, sheet))


def weights(result) -> dict[str, torch.Tensor]:
    return result.translator.network.state_dict()


@pytest.fixture
def made(monkeypatch) -> list[TrainingNetworks]:
    """The networks that a run makes, to look into afterwards."""
    networks: list[TrainingNetworks] = []
    init = TrainingNetworks.__init__
    monkeypatch.setattr(
        TrainingNetworks, "__init__", lambda self, *a: (init(self, *a), networks.append(self))[0]
    )
    return networks


def assert_only_generators_moved(networks: TrainingNetworks, spec: Variant) -> None:
    torch.manual_seed(settings().seed)
    start = TrainingNetworks(spec, 32).state_dict()
    for name, value in networks.state_dict().items():
        assert torch.equal(value, start[name]) == name.startswith("discriminators"), name


@pytest.mark.parametrize("architecture", ["cyclegan", "xgan"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_pixel_loss_alone_falls(architecture, precision):
    """Nothing but copies to learn, of two images: far from any luck within twenty steps."""
    photos, anime = PHOTOS.take(range(2)), ANIME.take(range(2))
    losses = {"identity": 1} if architecture == "cyclegan" else {"reconstruction": 1}
    spec = variant(architecture, norm="layer", flip=False, shift=0.0, losses=losses)
    plan = settings(
        budget_images=40, batch_size=2, lr=3e-3, log_every=2, decay_from=1.0, precision=precision
    )
    history = train(spec, plan, photos, anime, HELD_OUT).history[[*losses]].sum(axis=1)
    assert history.iloc[-5:].mean() < 0.9 * history.iloc[0]


def test_logs_and_samples_come_on_a_schedule_counted_in_images():
    heard = Recorder()
    plan = settings(budget_images=40, log_every=16, sample_every=20)
    result = train(variant("cyclegan"), plan, PHOTOS, ANIME, HELD_OUT, callback=heard)
    assert [images for images, _ in heard.logs] == [16, 32, 40] == list(result.history["images"])
    assert [images for images, _ in heard.sheets] == [20, 40]
    terms = ["adversarial", "cycle", "identity", "discriminator_photos", "discriminator_anime"]
    assert list(result.history) == ["images", "lr", *terms]
    assert heard.logs[0][1].keys() == {*terms, "images_per_second"}
    for row, (_, metrics) in zip(result.history.to_dict("records"), heard.logs, strict=True):
        assert all(row[name] == metrics[name] for name in terms)
    assert result.images_seen == 40
    assert result.resumed_from == 0


def test_sheet_shows_inputs_translations_and_reconstructions():
    heard = Recorder()
    plan = settings(budget_images=4)
    translator = train(
        variant("cyclegan"), plan, PHOTOS, ANIME, HELD_OUT, callback=heard
    ).translator
    sheet = heard.sheets[0][1]
    assert sheet.dtype == torch.uint8
    assert sheet.shape == (3, 6 * 34 + 2, 2 * 34 + 2)  # six rows of two 32 px images, 2 px frame
    tiles = sheet[:, 2:, 2:].unfold(1, 32, 34).unfold(2, 32, 34).permute(1, 2, 0, 3, 4)
    photos, anime = (held.images[:2] for held in HELD_OUT)
    assert torch.equal(tiles[0], photos)
    assert torch.equal(tiles[1], translator.translate(photos, "photos2anime"))
    assert torch.equal(tiles[2], translator.reconstruct(photos, "photos"))
    assert torch.equal(tiles[3], anime)
    assert torch.equal(tiles[4], translator.translate(anime, "anime2photos"))


def test_same_seed_same_weights_other_seed_others():
    spec, plan = variant("xgan"), settings(budget_images=16)
    first, again = (weights(train(spec, plan, PHOTOS, ANIME, HELD_OUT)) for _ in range(2))
    other = weights(train(spec, replace(plan, seed=1), PHOTOS, ANIME, HELD_OUT))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_starts_from_the_untrained_translator():
    plan = settings(budget_images=4, lr=1e-12, seed=5)
    trained = weights(train(variant("xgan"), plan, PHOTOS, ANIME, HELD_OUT))
    control = untrained_translator(variant("xgan"), 32, seed=5).network.state_dict()
    for name in control:
        torch.testing.assert_close(trained[name], control[name], atol=1e-6, rtol=0)


def test_generator_step_leaves_discriminators_alone(made, monkeypatch):
    """With the discriminators' own loss switched off, their weights stay as they began."""
    flat = FORMS["lsgan"]._replace(discriminator=lambda real, fake: 0 * real.mean())
    monkeypatch.setitem(FORMS, "lsgan", flat)
    train(variant("cyclegan"), settings(budget_images=16), PHOTOS, ANIME, HELD_OUT)
    assert_only_generators_moved(made[0], variant("cyclegan"))


def test_discriminator_rate_scales_the_step_of_discriminators_alone(made):
    """At rate 0 they stay as they began, while the generators learn at the run's rate."""
    spec = variant("cyclegan", discriminator_rate=0.0)
    train(spec, settings(budget_images=16), PHOTOS, ANIME, HELD_OUT)
    assert_only_generators_moved(made[0], spec)


def test_variant_without_discriminators_trains():
    spec = variant("xgan", losses={"reconstruction": 1})
    result = train(spec, settings(budget_images=8), PHOTOS, ANIME, HELD_OUT)
    assert list(result.history) == ["images", "lr", "reconstruction"]


def test_bf16_trains_too():
    plan = settings(budget_images=16, precision="bf16")
    result = train(variant("cyclegan"), plan, PHOTOS, ANIME, HELD_OUT)
    assert all(value.dtype == torch.float32 for value in weights(result).values())
    assert result.history.notna().all().all()


def test_nan_stops_the_run_names_the_loss_and_keeps_the_last_good_state(tmp_path, monkeypatch):
    spec, plan = variant("cyclegan"), settings(budget_images=64, state_every=8, log_every=24)
    calls, real_identity = [], losses.identity

    def breaks(same, real):
        calls.append(1)
        return real_identity(same, real) * (float("nan") if len(calls) > 10 else 1)

    monkeypatch.setattr(losses, "identity", breaks)
    with pytest.raises(ModelError, match="loss 'identity' became nan by image 24"):
        train(spec, plan, PHOTOS, ANIME, HELD_OUT, tmp_path)
    monkeypatch.setattr(losses, "identity", real_identity)
    result = train(spec, plan, PHOTOS, ANIME, HELD_OUT, tmp_path)
    assert result.resumed_from == 16
    assert all(value.isfinite().all() for value in weights(result).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 17}, "photos has 16 images, a batch needs 17"),
        ({"image_size": 48}, "photos are 32 px, `image_size` is 48"),
        ({"budget_images": 0}, "`budget_images` must be a whole number above 0 to 1,000,000,000"),
        ({"decay_from": 1.5}, "`decay_from` must be a number from 0 to 1"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"device": "abacus"}, "device 'abacus' is not available"),
    ],
)
def test_unusable_settings_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        train(variant("cyclegan"), settings(**changes), PHOTOS, ANIME, HELD_OUT)


def test_new_labels_of_the_same_images_are_a_new_training_where_labels_count():
    labelled, relabelled = (
        replace(PHOTOS, labels=PHOTOS.labels.assign(hair=hair)) for hair in ("black", "blonde")
    )
    hair, plain = {"hair": ["black", "blonde"]}, {"cycle": 1.0}
    cases = (({"labels": hair}, 2), ({}, 1), ({"losses": plain | {"colour": 1.0}}, 2))
    for changes, keys in cases:
        spec = variant("cyclegan", **changes)
        told = {training_key(spec, settings(), photos, ANIME) for photos in (labelled, relabelled)}
        assert len(told) == keys


def test_key_changes_with_what_decides_the_weights_and_nothing_else():
    def key(spec=None, photos=PHOTOS, **changes):
        return training_key(spec or variant("cyclegan"), settings(**changes), photos, ANIME)

    assert key() == key(state_every=1, sample_every=5, threads=2, sample_count=1, device="cpu")
    others = [
        key(seed=1),
        key(lr=1e-3),
        key(log_every=13),
        key(budget_images=65),
        key(spec=variant("cyclegan", return_noise=0.03)),
        key(photos=PHOTOS.take(range(15))),
    ]
    assert len({key(), *others}) == 7


def test_generators_move_once_in_so_many_discriminator_steps(made):
    spec = variant("cyclegan", discriminator_steps=5, losses={"adversarial": 1})
    train(spec, settings(budget_images=16), PHOTOS, ANIME, HELD_OUT)  # four steps
    torch.manual_seed(settings().seed)
    start = TrainingNetworks(spec, 32).state_dict()
    moved = {
        name.split(".")[0] for name, x in made[0].state_dict().items() if x.ne(start[name]).any()
    }
    assert moved == {"discriminators"}
    train(spec, settings(budget_images=20), PHOTOS, ANIME, HELD_OUT)
    assert any(
        x.ne(start[name]).any()
        for name, x in made[2].translator.state_dict(prefix="translator.").items()
    )


def test_clipped_weights_stay_within_their_limit(made):
    spec = variant("cyclegan", adversarial_form="wasserstein", weight_clip=0.01)
    train(spec, settings(budget_images=16), PHOTOS, ANIME, HELD_OUT)
    assert all(w.abs().max() <= 0.01 for w in made[0].discriminators.parameters())


EVERYTHING = {
    "adversarial_form": "hinge",
    "penalty": "r1",
    "discriminator_norm": "spectral",
    "discriminator_steps": 2,
    "diff_augment": ["colour", "translation", "cutout"],
    "domain_form": "least_squares",
    "attention": "cam",
    "norm": "adalin",
    "antialias": True,
    "losses": dict.fromkeys(LOSSES, 1.0),
    "final_losses": {"identity": 0.0},
    "labels": {"hair": ["black", "blonde"]},
}


def recognizer() -> Recognizer:
    torch.manual_seed(3)
    return Recognizer({"smile": ["no", "yes"]}, 4, 32)


def test_a_run_with_every_switch_resumes_to_the_same_weights(tmp_path):
    spec, judge = variant("xgan", **EVERYTHING), recognizer()
    data = (PHOTOS, ANIME, HELD_OUT)
    whole = train(spec, settings(budget_images=32), *data, recognizer=judge)

    class Stop(Silent):
        def on_log(self, images, metrics):
            if images >= 12:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, settings(budget_images=32), *data, tmp_path, Stop(), judge)
    again = train(spec, settings(budget_images=32), *data, tmp_path, recognizer=judge)
    assert again.resumed_from == 8
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(again).items())
    assert again.history.equals(whole.history)


def test_attributes_need_a_head_that_both_domains_know():
    spec, judge = variant("cyclegan", losses={"attributes": 1}), recognizer()
    judge.shared = []
    with pytest.raises(ModelError, match="add one to recognizer.heads"):
        train(spec, settings(), PHOTOS, ANIME, HELD_OUT, recognizer=judge)


def test_losses_that_ask_a_recognizer_need_one_and_leave_it_as_it_is():
    spec, judge = variant("xgan", losses={"perceptual": 1, "teacher": 1}), recognizer()
    with pytest.raises(ModelError, match="dvc repro recognizer"):
        train(spec, settings(), PHOTOS, ANIME, HELD_OUT)
    before = judge.fingerprint()
    train(spec, settings(budget_images=8), PHOTOS, ANIME, HELD_OUT, recognizer=judge)
    assert judge.fingerprint() == before
    other = training_key(spec, settings(), PHOTOS, ANIME, Recognizer({"smile": ["a", "b"]}, 4, 32))
    assert other != training_key(spec, settings(), PHOTOS, ANIME, judge)


FULL = Path(__file__).resolve().parents[3] / "profiles/full.yaml"
ROWS = yaml_files.read(FULL)["variants"]
LEARNT = [name for name in ROWS if name != "gatys"]


def row(name: str) -> Variant:
    """A row of the full profile, with tiny networks."""
    small = {"channels": 4, "blocks": 2, "discriminator_channels": 8, "discriminator_layers": 2}
    return variant_from_dict({**ROWS[name], **small}, name)


@pytest.mark.parametrize("name", LEARNT)
def test_every_row_of_the_full_profile_trains(name, made):
    spec = row(name)
    budget = 8 * spec.discriminator_steps
    plan = settings(budget_images=budget, batch_size=4, log_every=budget)
    result = train(spec, plan, PHOTOS, ANIME, HELD_OUT, recognizer=recognizer())
    assert result.history.notna().all().all()
    assert set(spec.losses) <= set(result.history)
    torch.manual_seed(plan.seed)
    start = TrainingNetworks(spec, 32, recognizer().feature_count).state_dict()
    moved = [name for name, x in made[0].state_dict().items() if x.ne(start[name]).any()]
    assert {name.split(".")[0] for name in moved} >= {"translator", "discriminators"}


@pytest.mark.parametrize("name", LEARNT)
def test_every_row_of_the_full_profile_descends(name):
    """What generators minimise, but for what pulls at discriminators, and what these do."""
    torch.manual_seed(0)
    spec, asked = row(name), recognizer().eval().requires_grad_(False)
    networks = TrainingNetworks(spec, 32, asked.feature_count)
    real = {d: torch.rand(4, 3, 32, 32) * 2 - 1 for d in DOMAINS}
    known = torch.zeros(4, len(spec.labels)).long()
    labels = {d: one_hot(known, spec.labels) for d in DOMAINS} if spec.labels else None

    def step() -> Step:
        return Step(networks, real, spec, 0.5, asked, labels)

    def objective() -> torch.Tensor:
        terms = generator_terms(step())
        ours = {k: x for k, x in terms.items() if k not in ("adversarial", "domain_adversarial")}
        return weighted_sum(ours, spec)

    def verdict() -> torch.Tensor:
        now = step()
        fakes = {d: (now.fake(d).detach(), *now.labels_of_fake(d)) for d in DOMAINS}
        return sum(discriminator_terms(now, fakes).values())

    assert_descends(objective, networks.generator_parameters())
    assert_descends(verdict, networks.discriminators.parameters())


def test_a_run_without_a_gpu_says_once_what_it_will_cost(capfd):
    arguments = (
        variant("cyclegan"),
        settings(budget_images=40, device="cpu", threads=1),
        PHOTOS,
        ANIME,
    )
    train(*arguments, HELD_OUT, callback=Recorder())
    told = [line for line in capfd.readouterr().err.splitlines() if "no GPU" in line]
    assert len(told) == 1
    assert re.fullmatch(
        r"cyclegan: no GPU, 1 CPU threads: about [\d.e-]+ minutes for this run", told[0]
    )
    train(*arguments, HELD_OUT)  # nobody hears of a trial that measures a budget
    assert "no GPU" not in capfd.readouterr().err

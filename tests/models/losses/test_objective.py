"""Which losses and network passes a step pays for."""

from __future__ import annotations

import pytest
import torch

from models.data.colours import thumbnail
from models.losses import adversarial
from models.losses import functions as losses
from models.losses.objective import (
    TERMS,
    discriminator_terms,
    generator_terms,
    penalty_terms,
    weighted_sum,
)
from models.losses.penalties import PENALTIES
from models.losses.step import Step
from models.networks.hair import hair_shares, mean_colour
from models.networks.palette import counted
from models.networks.training_networks import TrainingNetworks
from models.recognizer.network import Recognizer
from models.variants import LOSSES
from tests.models.helpers import variant

EVERY = dict.fromkeys(LOSSES, 1.0)


def step_for(spec) -> Step:
    torch.manual_seed(0)
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    recognizer = Recognizer({"smile": ["no", "yes"]}, 4, 32).eval().requires_grad_(False)
    return Step(TrainingNetworks(spec, 32, recognizer.feature_count), real, spec, 0.5, recognizer)


def count_passes(step: Step, monkeypatch) -> dict[str, int]:
    counts = {"encode_with_logits": 0, "decode": 0}
    translator = step.networks.translator
    for name in counts:
        original = getattr(translator, name)

        def counted(*tensors, name=name, original=original):
            counts[name] += 1
            return original(*tensors)

        monkeypatch.setattr(translator, name, counted)
    return counts


@pytest.mark.parametrize("off", LOSSES)
def test_loss_of_weight_zero_is_never_called(off, monkeypatch):
    def refuse(step):
        raise AssertionError(f"{off} was called")

    monkeypatch.setitem(TERMS, off, refuse)
    spec = variant("xgan", losses={**EVERY, off: 0}, attention="cam")
    terms = generator_terms(step_for(spec))
    assert set(terms) == set(LOSSES) - {off}
    with pytest.raises(AssertionError, match="was called"):
        generator_terms(step_for(variant("xgan", losses=EVERY, attention="cam")))


def test_network_passes_are_shared_and_only_the_needed_ones_made(monkeypatch):
    step = step_for(variant("xgan", losses=EVERY, attention="cam"))
    counts = count_passes(step, monkeypatch)
    generator_terms(step)
    # encode: 2 real, 2 translations, 2 identity; decode: 2 translations, 2 returned, 2 identity,
    # 2 reconstructions.
    assert counts == {"encode_with_logits": 6, "decode": 8}
    step = step_for(variant("xgan", losses={"reconstruction": 1}))
    counts = count_passes(step, monkeypatch)
    generator_terms(step)
    assert counts == {"encode_with_logits": 2, "decode": 2}


def test_terms_are_what_their_names_say():
    spec = variant("cyclegan", return_noise=0.0, losses=EVERY, attention="cam")
    step = step_for(spec)
    networks, photos, anime = step.networks, step.real["photos"], step.real["anime"]
    forth, back = (
        lambda x: networks.translator.translate(x, "photos2anime"),
        lambda x: networks.translator.translate(x, "anime2photos"),
    )
    terms = generator_terms(step)
    expected = {
        "cycle": losses.cycle(back(forth(photos)), photos)
        + losses.cycle(forth(back(anime)), anime),
        "identity": losses.identity(forth(anime), anime) + losses.identity(back(photos), photos),
        "adversarial": adversarial.lsgan_generator(networks.discriminators["anime"](forth(photos)))
        + adversarial.lsgan_generator(networks.discriminators["photos"](back(anime))),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    fakes = {"anime": (forth(photos).detach(),), "photos": (back(anime).detach(),)}
    judged = discriminator_terms(step, fakes)["discriminator_anime"]
    critic = networks.discriminators["anime"]
    torch.testing.assert_close(
        judged, adversarial.lsgan_discriminator(critic(anime), critic(*fakes["anime"]))
    )


def test_total_is_the_weighted_sum():
    spec = variant("cyclegan", losses={"cycle": 10, "identity": 0.5})
    terms = {"cycle": torch.tensor(0.2), "identity": torch.tensor(3.0)}
    assert weighted_sum(terms, spec).item() == pytest.approx(3.5)


def test_return_noise_changes_the_way_back_and_not_the_translation():
    quiet, noisy = (step_for(variant("cyclegan", return_noise=s)) for s in (0.0, 0.1))
    torch.testing.assert_close(quiet.fake("anime"), noisy.fake("anime"))
    assert not torch.allclose(quiet.returned("photos"), noisy.returned("photos"))


def test_colour_compares_cells_and_the_mean_where_the_source_has_hair():
    step = step_for(variant("cyclegan", losses={"colour": 1}))
    expected = []
    for source, target in (("photos", "anime"), ("anime", "photos")):
        real, fake = step.real[source], thumbnail(step.fake(target))
        wanted = step.networks.palette.wanted(real, source)
        shares = hair_shares(thumbnail(real))
        cells = counted(fake), counted(wanted)
        means = mean_colour(fake, shares), mean_colour(wanted, shares)
        for one, other in (cells, means):
            away = (one - other).abs()
            expected.append(away[:, 0].mean() + away[:, 1:].mean())
    torch.testing.assert_close(generator_terms(step)["colour"], torch.stack(expected).sum())


def test_attributes_compare_what_is_read_off_a_translation_with_its_own_source():
    step = step_for(variant("cyclegan", losses={"attributes": 1}))
    step.recognizer.outputs["smile"].weight.mul_(100)  # so that it is sure of something
    read = step.recognizer
    expected = sum(
        losses.attributes(read(step.fake(target)), read(step.real[source]))
        for source, target in (("photos", "anime"), ("anime", "photos"))
    )
    assert expected > 0
    torch.testing.assert_close(generator_terms(step)["attributes"], expected)


def test_heads_that_one_domain_knows_nothing_of_are_not_asked():
    step = step_for(variant("cyclegan", losses={"attributes": 1}))
    reader = Recognizer({"smile": ["no", "yes"], "hair": ["red", "blue"]}, 4, 32).eval()
    reader.shared = ["hair"]
    step.recognizer = reader
    assert list(step.read_real("photos")) == ["hair"]


def test_perceptual_compares_a_translation_with_its_own_source():
    step = step_for(variant("cyclegan", losses={"perceptual": 1}))
    look = step.recognizer.depths
    expected = sum(
        losses.perceptual(look(step.fake(target))[1:], look(step.real[source])[1:])
        for source, target in (("photos", "anime"), ("anime", "photos"))
    )
    torch.testing.assert_close(generator_terms(step)["perceptual"], expected)


def test_teacher_reaches_the_encoder_and_the_student_and_not_the_recognizer():
    step = step_for(variant("xgan", losses={"teacher": 1}))
    generator_terms(step)["teacher"].backward()
    networks = step.networks
    assert all(weight.grad is not None for weight in networks.student.parameters())
    encoder = networks.translator.shallow_encoders.parameters()
    assert all(weight.grad.abs().sum() > 0 for weight in encoder)
    assert all(weight.grad is None for weight in networks.translator.shallow_decoders.parameters())
    assert all(weight.grad is None for weight in step.recognizer.parameters())


@pytest.mark.parametrize("penalty", ["none", "r1"])
def test_penalty_is_taken_only_where_asked(penalty, monkeypatch):
    calls = []
    monkeypatch.setitem(PENALTIES, "r1", lambda *tensors: calls.append(1) or torch.zeros(()))
    step = step_for(variant("cyclegan", penalty=penalty))
    terms = penalty_terms(step, {domain: (images,) for domain, images in step.real.items()})
    assert len(calls) == len(terms) == (0 if penalty == "none" else 2)


def test_discriminators_see_real_and_translated_images_augmented():
    step = step_for(variant("cyclegan", diff_augment=["colour", "translation", "cutout"]))
    plain = step_for(variant("cyclegan"))
    torch.manual_seed(1)
    (augmented,) = step.verdicts(step.real["anime"], "anime")
    assert not torch.allclose(augmented, *plain.verdicts(plain.real["anime"], "anime"))
    with torch.no_grad():
        assert torch.equal(step.fake("anime"), plain.fake("anime"))  # generators see none of it


def test_weights_fade_linearly_to_their_final_value():
    spec = variant("cyclegan", losses={"cycle": 10, "identity": 4}, final_losses={"cycle": 0})
    assert [spec.weight("cycle", p) for p in (0, 0.25, 1)] == [10, 7.5, 0]
    assert spec.weight("identity", 1) == 4
    terms = {"cycle": torch.tensor(1.0), "identity": torch.tensor(1.0)}
    assert weighted_sum(terms, spec, 0.5).item() == pytest.approx(9)

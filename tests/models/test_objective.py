"""Which losses and network passes a step pays for."""

from __future__ import annotations

import pytest
import torch

from models import losses
from models.networks import TrainingNetworks
from models.objective import TERMS, Step, discriminator_terms, generator_terms, weighted_sum
from models.variants import LOSSES
from tests.models.helpers import variant

EVERY = dict.fromkeys(LOSSES, 1.0)


def step_for(spec) -> Step:
    torch.manual_seed(0)
    real = {d: torch.rand(2, 3, 32, 32) * 2 - 1 for d in ("photos", "anime")}
    return Step(TrainingNetworks(spec, 32), real, spec, progress=0.5)


def count_passes(step: Step, monkeypatch) -> dict[str, int]:
    counts = {"encode": 0, "decode": 0}
    translator = step.networks.translator
    for name in counts:
        original = getattr(translator, name)

        def counted(x, domain, name=name, original=original):
            counts[name] += 1
            return original(x, domain)

        monkeypatch.setattr(translator, name, counted)
    return counts


@pytest.mark.parametrize("off", LOSSES)
def test_loss_of_weight_zero_is_never_called(off, monkeypatch):
    def refuse(step):
        raise AssertionError(f"{off} was called")

    monkeypatch.setitem(TERMS, off, refuse)
    spec = variant("xgan", losses={**EVERY, off: 0})
    terms = generator_terms(step_for(spec))
    assert set(terms) == set(LOSSES) - {off}
    with pytest.raises(AssertionError, match="was called"):
        generator_terms(step_for(variant("xgan", losses=EVERY)))


def test_network_passes_are_shared_and_only_the_needed_ones_made(monkeypatch):
    step = step_for(variant("xgan", losses=EVERY))
    counts = count_passes(step, monkeypatch)
    generator_terms(step)
    # encode: 2 real, 2 translations, 2 identity; decode: 2 translations, 2 returned, 2 identity,
    # 2 reconstructions.
    assert counts == {"encode": 6, "decode": 8}
    step = step_for(variant("xgan", losses={"reconstruction": 1}))
    counts = count_passes(step, monkeypatch)
    generator_terms(step)
    assert counts == {"encode": 2, "decode": 2}


def test_terms_are_what_their_names_say():
    spec = variant("cyclegan", return_noise=0.0, losses=EVERY)
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
        "adversarial": losses.lsgan_generator(networks.discriminators["anime"](forth(photos)))
        + losses.lsgan_generator(networks.discriminators["photos"](back(anime))),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    fakes = {"anime": forth(photos).detach(), "photos": back(anime).detach()}
    judged = discriminator_terms(step, fakes)["discriminator_anime"]
    critic = networks.discriminators["anime"]
    torch.testing.assert_close(
        judged, losses.lsgan_discriminator(critic(anime), critic(fakes["anime"]))
    )


def test_total_is_the_weighted_sum():
    spec = variant("cyclegan", losses={"cycle": 10, "identity": 0.5})
    terms = {"cycle": torch.tensor(0.2), "identity": torch.tensor(3.0)}
    assert weighted_sum(terms, spec).item() == pytest.approx(3.5)


def test_return_noise_changes_the_way_back_and_not_the_translation():
    quiet, noisy = (step_for(variant("cyclegan", return_noise=s)) for s in (0.0, 0.1))
    torch.testing.assert_close(quiet.fake("anime"), noisy.fake("anime"))
    assert not torch.allclose(quiet.returned("photos"), noisy.returned("photos"))

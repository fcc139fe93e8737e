"""The yardstick and the engine minimise the same thing: each shows that the other is right."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.losses.objective import discriminator_terms, generator_terms, weighted_sum
from models.losses.step import Step
from models.networks.training_networks import TrainingNetworks
from models.variants import BUILT_IN, Variant
from tests.bench.published_loop import PRINT_EVERY, Pool, PublishedCycleGAN, blocks_for

# The paper's generators minimise (D(G(x)) − 1)², our LSGAN half of that (Mao et al., eq. 9).
LOSSES = {"adversarial": 2.0, "cycle": 10.0, "identity": 5.0}


def published_variant(image_size: int) -> Variant:
    return replace(BUILT_IN["cyclegan"], blocks=blocks_for(image_size), losses=LOSSES)


def our_weights(networks: TrainingNetworks) -> list[nn.Parameter]:
    """Of generator photos → anime, anime → photos, then the judges of photos and of anime."""
    t = networks.translator
    parts: list[nn.Module] = []
    for source, target in (("photos", "anime"), ("anime", "photos")):
        parts += [t.shallow_encoders[source], t.deep_encoders[source]]
        parts += [t.deep_decoders[target], t.shallow_decoders[target]]
    parts += [networks.discriminators["photos"], networks.discriminators["anime"]]
    return [weight for part in parts for weight in part.parameters()]


@pytest.mark.parametrize("image_size", [64, 128, 256])
def test_networks_have_as_many_weights_as_ours(image_size: int) -> None:
    with torch.device("meta"):
        theirs = PublishedCycleGAN(image_size, "meta")
        ours = TrainingNetworks(published_variant(image_size), image_size)
    count = sum(w.numel() for w in theirs.generator_weights() + theirs.discriminator_weights())
    assert count == sum(w.numel() for w in ours.parameters())
    assert count > 2 * (7_000_000 + 2_500_000)


def test_one_step_has_the_losses_and_gradients_of_our_objective() -> None:
    torch.manual_seed(0)
    size = 32
    spec = published_variant(size)
    theirs, ours = PublishedCycleGAN(size), TrainingNetworks(spec, size)
    weights = our_weights(ours)
    pairs = zip(theirs.generator_weights() + theirs.discriminator_weights(), weights, strict=True)
    with torch.no_grad():
        for their, our in pairs:
            our.copy_(their)
    real = {d: torch.rand(1, 3, size, size) * 2 - 1 for d in ("photos", "anime")}

    step = Step(ours, real, spec, 0.0)
    terms = generator_terms(step)
    fakes = {d: (step.fake(d).detach(),) for d in ("photos", "anime")}
    objective = weighted_sum(terms, spec)
    gradients = torch.autograd.grad(objective, weights[: len(theirs.generator_weights())])
    judged = discriminator_terms(step, fakes)
    verdict = torch.stack(list(judged.values())).sum()
    gradients += torch.autograd.grad(verdict, weights[len(theirs.generator_weights()) :])

    losses = theirs.step(real["photos"], real["anime"])

    def close(ours: Tensor, *names: str) -> None:
        torch.testing.assert_close(
            ours, torch.stack([losses[n] for n in names]).sum(), rtol=0, atol=1e-4
        )

    for term, weight in LOSSES.items():
        close(weight * terms[term], f"{term}_a", f"{term}_b")
    close(judged["discriminator_photos"], "discriminator_a")
    close(judged["discriminator_anime"], "discriminator_b")
    learnt = theirs.generator_weights() + theirs.discriminator_weights()
    for learner, gradient in zip(learnt, gradients, strict=True):
        assert learner.grad is not None
        error = (learner.grad - gradient).norm() / gradient.norm().clamp(min=1e-8)
        # Small norms at the start magnify rounding: 0.004 in float32, 2e-8 in float64.
        assert error < 0.02


def test_losses_are_looked_at_as_often_as_published() -> None:
    model = PublishedCycleGAN(32)
    model.steps = PRINT_EVERY - 2
    real = torch.zeros(1, 3, 32, 32)
    model.step(real, real)
    assert not model.told
    losses = model.step(real, real)
    assert model.told == [loss.item() for loss in losses.values()]


def test_pool_gives_back_older_images_half_the_time() -> None:
    pool = Pool()
    images = [torch.full((1, 1, 1, 1), float(i)) for i in range(1050)]
    came = [pool.query(image) for image in images]
    assert all(a is b for a, b in zip(came[:50], images[:50], strict=True))
    older = sum(a is not b for a, b in zip(came[50:], images[50:], strict=True))
    assert 400 < older < 600

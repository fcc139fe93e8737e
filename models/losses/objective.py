"""What one step minimises: named terms, each built from tensors that are made when first asked for.

A term of weight 0 is never called, so neither are the network passes that only it needs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from models.data.augment import diff_augment
from models.domains import DOMAINS, other
from models.losses import functions as losses
from models.losses.adversarial import FORMS
from models.losses.penalties import PENALTIES
from models.networks.translator import PatchDiscriminator, TrainingNetworks, code_vector
from models.recognizer.network import Recognizer
from models.variants import LOSSES, Variant

Made = TypeVar("Made")


def _once(make: Callable[[Step, str], Made]) -> Callable[[Step, str], Made]:
    """Remember what a method made for a domain, so that losses share network passes."""

    @functools.wraps(make)
    def cached(self: Step, domain: str) -> Made:
        key = (make.__name__, domain)
        if key not in self._made:
            self._made[key] = make(self, domain)
        return self._made[key]

    return cached


class Step:
    """The tensors of one step. `real` maps a domain to float [N, 3, S, S], `labels` to float
    [N, width] where the variant has labels; images come back float32, whatever precision the
    networks ran in."""

    def __init__(
        self,
        networks: TrainingNetworks,
        real: dict[str, Tensor],
        variant: Variant,
        progress: float,
        recognizer: Recognizer | None = None,
        labels: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.networks, self.real, self.variant, self.progress = networks, real, variant, progress
        self.recognizer, self.labels = recognizer, labels or {}
        self._made: dict[tuple[str, str], Any] = {}

    def draw(self, code: Tensor, domain: str, source: str) -> Tensor:
        """Decode in `domain` a code of the real images of `source`, with their labels."""
        labels = self.labels.get(source)
        return self.networks.translator.decode(code, domain, labels).float()

    @_once
    def encoded(self, domain: str) -> tuple[Tensor, Tensor | None]:
        """Code of the real images of `domain`, and the logits of the encoder's attention."""
        return self.networks.translator.encode_with_logits(self.real[domain], domain)

    def code(self, domain: str) -> Tensor:
        """Code of the real images of `domain`."""
        return self.encoded(domain)[0]

    @_once
    def fake(self, domain: str) -> Tensor:
        """Translations into `domain`."""
        return self.draw(self.code(other(domain)), domain, source=other(domain))

    def keep_fakes(self) -> None:
        """Drop all tensors that were made but the translations, without their graph."""
        fakes = {k: x.detach() for k, x in self._made.items() if k[0] == "fake"}
        self._made = fakes

    @_once
    def code_of_fake(self, domain: str) -> Tensor:
        """Code of the (slightly noisy) translations into `domain`."""
        fake, noise = self.fake(domain), self.variant.return_noise
        if noise:
            fake = fake + noise * torch.randn_like(fake)
        return self.networks.translator.encode(fake, domain)

    @_once
    def returned(self, domain: str) -> Tensor:
        """Real images of `domain` after the way there and back."""
        return self.draw(self.code_of_fake(other(domain)), domain, source=domain)

    @_once
    def encoded_as_other(self, domain: str) -> tuple[Tensor, Tensor | None]:
        """`encoded`, by the encoder of the other domain."""
        return self.networks.translator.encode_with_logits(self.real[domain], other(domain))

    @_once
    def same(self, domain: str) -> Tensor:
        """Real images of `domain` through the generator whose *target* is `domain`."""
        return self.draw(self.encoded_as_other(domain)[0], domain, source=domain)

    def cam_logits(self, domain: str) -> tuple[Tensor, Tensor]:
        """The attention's logits in the encoder of `domain`: for its own images, for the others."""
        own, others = self.encoded(domain)[1], self.encoded_as_other(other(domain))[1]
        assert own is not None and others is not None
        return own.float(), others.float()

    @_once
    def decoded(self, domain: str) -> Tensor:
        """Real images of `domain` through their own autoencoder."""
        return self.draw(self.code(domain), domain, source=domain)

    @_once
    def domain_logits(self, domain: str) -> Tensor:
        """The domain classifier's logits for real images, their gradient reversed on the way."""
        scale = losses.reversal_ramp(self.progress)
        classifier = self.networks.domain_classifier
        assert classifier is not None
        return classifier(losses.reverse_gradient(self.code(domain), scale)).float()

    def recognized(self, images: Tensor) -> list[Tensor]:
        """What the recognizer makes of `images`, at its three deeper depths: the first, edges and
        colours, is what a translation is to change."""
        assert self.recognizer is not None
        return [features.float() for features in self.recognizer.depths(images)[1:]]

    @_once
    def recognized_real(self, domain: str) -> list[Tensor]:
        """That of the real images of `domain`: what losses compare with, so without gradient."""
        with torch.no_grad():
            return self.recognized(self.real[domain])

    @_once
    def student(self, domain: str) -> Tensor:
        """Codes of the real images of `domain`, brought to the recognizer's features."""
        student = self.networks.student
        assert student is not None
        return student(code_vector(self.code(domain))).float()

    def discriminator(self, domain: str) -> PatchDiscriminator:
        """The judge of what is of `domain`."""
        found = self.networks.discriminators[domain]
        assert isinstance(found, PatchDiscriminator)
        return found

    def verdicts(self, images: Tensor, domain: str, labels: Tensor | None = None) -> list[Tensor]:
        """What the discriminator of `domain` says of `images`, augmented on the way: patch scores
        and, where it has an attention, that one's logits."""
        seen = diff_augment(images, self.variant.diff_augment)
        return [x.float() for x in self.discriminator(domain).verdicts(seen, labels)]

    def labels_of_fake(self, domain: str) -> list[Tensor]:
        """Labels of the translations into `domain`, their sources', as a list of one or none."""
        return [self.labels[other(domain)]] if self.labels else []

    def verdicts_of_fake(self, domain: str) -> list[Tensor]:
        """`verdicts` of the translations into `domain`."""
        return self.verdicts(self.fake(domain), domain, *self.labels_of_fake(domain))


def _both(term: Callable[[Step, str], Tensor]) -> Callable[[Step], Tensor]:
    """A loss of one domain → its sum over both."""
    return lambda step: term(step, DOMAINS[0]) + term(step, DOMAINS[1])


def adversarial(step: Step, domain: str) -> Tensor:
    """The generator's loss on every verdict of the discriminator of `domain`, added.

    What U-GAT-IT (2020), eq. 6, writes as a loss of its own, L_cam of the discriminator, is this
    and `discriminator_terms` on the logits of its attention, in whatever form the variant has.
    """
    form = FORMS[step.variant.adversarial_form]
    return torch.stack([form.generator(fake) for fake in step.verdicts_of_fake(domain)]).sum()


DOMAIN_FORMS = {
    "cross_entropy": losses.domain_adversarial,
    "least_squares": losses.domain_least_squares,
}
TERMS: dict[str, Callable[[Step], Tensor]] = {
    "adversarial": _both(adversarial),
    "cycle": _both(lambda s, d: losses.cycle(s.returned(d), s.real[d])),
    "identity": _both(lambda s, d: losses.identity(s.same(d), s.real[d])),
    "reconstruction": _both(lambda s, d: losses.reconstruction(s.decoded(d), s.real[d])),
    "semantic_consistency": _both(
        lambda s, d: losses.semantic_consistency(
            s.code(d).float(), s.code_of_fake(other(d)).float()
        )
    ),
    "domain_adversarial": lambda s: DOMAIN_FORMS[s.variant.domain_form](
        s.domain_logits("photos"), s.domain_logits("anime")
    ),
    "perceptual": _both(
        lambda s, d: losses.perceptual(s.recognized(s.fake(other(d))), s.recognized_real(d))
    ),
    "teacher": _both(
        lambda s, d: losses.teacher(s.student(d), s.recognized_real(d)[-1].mean((2, 3)))
    ),
    "cam": _both(lambda s, d: losses.cam(*s.cam_logits(d))),
}
assert tuple(TERMS) == LOSSES


def generator_terms(step: Step) -> dict[str, Tensor]:
    """The unweighted value of every loss that the variant weighs above 0."""
    return {name: TERMS[name](step) for name in LOSSES if step.variant.weight(name)}


def weighted_sum(terms: dict[str, Tensor], variant: Variant, progress: float = 0.0) -> Tensor:
    """Σ weight · term, with the weights at `progress` (0…1) of the budget."""
    weighted = [variant.weight(name, progress) * value for name, value in terms.items()]
    return torch.stack(weighted).sum()


Fakes = Mapping[str, tuple[Tensor, ...]]  # of each domain: images and, with labels, their labels


def discriminator_terms(step: Step, fakes: Fakes) -> dict[str, Tensor]:
    """Each discriminator's loss on the step's real images and the given (detached) `fakes`, added
    over its verdicts."""
    form = FORMS[step.variant.adversarial_form]
    terms = {}
    for d, (images, *labels) in fakes.items():
        real = step.verdicts(step.real[d], d, step.labels.get(d))
        fake = step.verdicts(images, d, *labels)
        parts = [form.discriminator(*pair) for pair in zip(real, fake, strict=True)]
        terms[f"discriminator_{d}"] = torch.stack(parts).sum()
    return terms


def penalty_terms(step: Step, fakes: Fakes) -> dict[str, Tensor]:
    """The unweighted penalty on each discriminator's slope; none where the variant asks for none.

    Call it outside autocast. What it looks at is not augmented: the slope is D's own, under the
    labels of the real images. It is the slope of all verdicts, their means added as in the
    adversarial loss: a critic whose logits were left out could raise them without bound.
    """
    variant = step.variant
    if variant.penalty == "none" or not variant.penalty_weight:
        return {}
    penalty = PENALTIES[variant.penalty]

    def critic(domain: str) -> Callable[[Tensor], Tensor]:
        discriminator, labels = step.discriminator(domain), step.labels.get(domain)

        def judge(images: Tensor) -> Tensor:  # [N, 1]
            verdicts = discriminator.verdicts(images, labels)
            return torch.stack([v.flatten(1).mean(1, keepdim=True) for v in verdicts]).sum(0)

        return judge

    return {f"penalty_{d}": penalty(critic(d), step.real[d], fakes[d][0]) for d in fakes}

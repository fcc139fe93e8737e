"""What one step minimises: named terms, their weighted sum, and its gradient.

A batch may be split into micro-batches, which gives the gradient of the whole in the memory of a
part. Losses are means over images, and no norm looks at another image, so the mean of the parts is
the whole up to rounding. Two things differ: random numbers that are drawn after the split (noise,
differentiable augmentation, penalties between images), and spectral norms, whose estimate moves
with every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from models.domains import DOMAINS, other
from models.losses import functions as losses
from models.losses.adversarial import FORMS
from models.losses.penalties import PENALTIES
from models.losses.pool import ImagePool
from models.losses.step import Step
from models.variants import LOSSES, Variant

Context = Callable[[], AbstractContextManager[object]]
Fakes = Mapping[str, tuple[Tensor, ...]]  # of each domain: images and, with labels, their labels
Terms = dict[str, Tensor]  # 0-d each
Weights = list[nn.Parameter]


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
    "colour": _both(lambda s, d: losses.colour(s.colours(other(d)), s.wanted_colours(d))),
    "attributes": _both(lambda s, d: losses.attributes(s.read(s.fake(other(d))), s.read_real(d))),
}
assert tuple(TERMS) == LOSSES


def generator_terms(step: Step) -> Terms:
    """The unweighted value of every loss that the variant weighs above 0."""
    return {name: TERMS[name](step) for name in LOSSES if step.variant.weight(name)}


def weighted_sum(terms: Terms, variant: Variant, progress: float = 0.0) -> Tensor:
    """Σ weight · term, with the weights at `progress` (0…1) of the budget."""
    weighted = [variant.weight(name, progress) * value for name, value in terms.items()]
    return torch.stack(weighted).sum()


def discriminator_terms(step: Step, fakes: Fakes) -> Terms:
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


def penalty_terms(step: Step, fakes: Fakes) -> Terms:
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

        def verdict(images: Tensor) -> Tensor:  # [N, 1]
            verdicts = discriminator.verdicts(images, labels)
            return torch.stack([v.flatten(1).mean(1, keepdim=True) for v in verdicts]).sum(0)

        return verdict

    return {f"penalty_{d}": penalty(critic(d), step.real[d], fakes[d][0]) for d in fakes}


def generator_backward(steps: list[Step], weights: Weights, cast: Context) -> Terms:
    """Add the gradient of the generator's loss to `weights`, and to no others.

    Args:
        steps: the micro-batches. Each gives up all that it has made but its translations before
            the next begins, so that one at a time is in memory.
        weights: what is trained. `inputs=` computes no other gradients, so that discriminators
            are frozen without a change of requires_grad (pytorch#139476).
        cast: makes the autocast context of the networks.

    Returns:
        The mean of each unweighted term, detached.
    """
    told: Terms = {}
    for step in steps:
        with cast():
            terms = generator_terms(step)
        loss = weighted_sum(terms, step.variant, step.progress) / len(steps)
        torch.autograd.backward(loss, inputs=weights)
        add_share(told, terms, len(steps))
        step.keep_fakes()
    return told


@torch.no_grad()
def pooled_fakes(steps: list[Step], pools: Mapping[str, ImagePool], cast: Context) -> Fakes:
    """Translations of the whole batch, with their labels, some of them from earlier steps."""
    fakes = {}
    with cast():
        for d in DOMAINS:
            rows = [(step.fake(d).detach(), *step.labels_of_fake(d)) for step in steps]
            whole = rows[0] if len(rows) == 1 else [torch.cat(x) for x in zip(*rows, strict=True)]
            fakes[d] = pools[d].query(*whole)
    return fakes


def discriminator_backward(
    steps: list[Step], fakes: Fakes, weights: Weights, cast: Context, eager: Context
) -> Terms:
    """Add the gradient of the discriminators' loss to `weights`; else as `generator_backward`.

    `fakes` are those of the whole batch. `eager` makes a context in which nothing runs compiled,
    for penalties need second-order gradients.
    """
    told: Terms = {}
    chunks = {d: [x.chunk(len(steps)) for x in fakes[d]] for d in fakes}
    for i, step in enumerate(steps):
        part = {d: tuple(x[i] for x in tensors) for d, tensors in chunks.items()}
        with cast():
            terms = discriminator_terms(step, part)
        with eager():
            slopes = penalty_terms(step, part)
        weighted = [step.variant.penalty_weight * value for value in slopes.values()]
        loss = torch.stack([*terms.values(), *weighted]).sum() / len(steps)
        torch.autograd.backward(loss, inputs=weights)
        add_share(told, terms | slopes, len(steps))
    return told


def add_share(told: Terms, terms: Terms, parts: int) -> None:
    """Add one micro-batch's terms to the means of the whole batch."""
    for name, value in terms.items():
        share = value.detach() / parts
        told[name] = told[name] + share if name in told else share

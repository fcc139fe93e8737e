"""A step's batch in micro-batches: the gradients of the whole in the memory of a part.

Losses are means over images, and no norm looks at another image, so the mean of the parts is the
whole up to rounding. Two things differ: random numbers that are drawn after the split (noise,
differentiable augmentation, penalties between images), and spectral norms, whose estimate moves
with every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from models.domains import DOMAINS
from models.losses.objective import (
    Fakes,
    Step,
    discriminator_terms,
    generator_terms,
    penalty_terms,
    weighted_sum,
)
from models.losses.pool import ImagePool

Context = Callable[[], AbstractContextManager[object]]


def tell(told: dict[str, Tensor], terms: Mapping[str, Tensor], parts: int) -> None:
    """Add one part's terms to the means of the whole."""
    for name, value in terms.items():
        share = value.detach() / parts
        told[name] = told[name] + share if name in told else share


def generator_losses(steps: list[Step], told: dict[str, Tensor], cast: Context) -> Iterator[Tensor]:
    """The generator's loss on each micro-batch, made when asked for: 0-d, their sum is the mean.

    When the next is asked for, all that the last one had made is dropped but its translations.
    """
    for step in steps:
        with cast():
            terms = generator_terms(step)
        tell(told, terms, len(steps))
        yield weighted_sum(terms, step.variant, step.progress) / len(steps)
        step.keep_fakes()


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


def discriminator_losses(
    steps: list[Step], fakes: Fakes, told: dict[str, Tensor], cast: Context, eager: Context
) -> Iterator[Tensor]:
    """The discriminators' loss on each micro-batch, as `generator_losses`.

    `eager` is a context in which nothing runs compiled: penalties need second-order gradients.
    """
    chunks = {d: [x.chunk(len(steps)) for x in fakes[d]] for d in fakes}
    for i, step in enumerate(steps):
        part = {d: tuple(x[i] for x in tensors) for d, tensors in chunks.items()}
        with cast():
            judged = discriminator_terms(step, part)
        with eager():
            slopes = penalty_terms(step, part)
        tell(told, judged | slopes, len(steps))
        weighted = [step.variant.penalty_weight * value for value in slopes.values()]
        yield torch.stack([*judged.values(), *weighted]).sum() / len(steps)

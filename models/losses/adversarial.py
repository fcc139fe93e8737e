"""Adversarial losses: what generators and discriminators want of the discriminators' scores.

Scores have any shape and no bound; every loss is their mean, a 0-d tensor. A patch discriminator
scores each of its patches, so the mean is also over patches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


def lsgan_generator(fake: Tensor) -> Tensor:
    """L_G = ½ E[(D(G(x)) − 1)²]: the generator wants its images scored as real.

    Mao et al., Least Squares GAN (2017), eq. 9 with a=0, b=c=1.
    """
    return 0.5 * (fake - 1).square().mean()


def lsgan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = ½ E[(D(y) − 1)²] + ½ E[D(G(x))²]. Mao et al. (2017), eq. 9 with a=0, b=c=1."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """L_G = E[−log σ(D(G(x)))]. Goodfellow et al., GAN (2014), §3."""
    return F.softplus(-fake).mean()


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E[−log σ(D(y))] + E[−log(1 − σ(D(G(x))))]. Goodfellow et al., GAN (2014), eq. 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E[max(0, 1 − D(y))] + E[max(0, 1 + D(G(x)))].

    Lim & Ye, Geometric GAN (2017); Miyato et al., Spectral Normalization (2018), eq. 16.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """L_G = −E[D(G(x))]; the hinge form has the same. Arjovsky et al., Wasserstein GAN (2017),
    algorithm 1; Miyato et al. (2018), eq. 17."""
    return -fake.mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E[D(G(x))] − E[D(y)]: −1 times an estimate of the Wasserstein-1 distance, as far as the
    critic is 1-Lipschitz, for which a gradient penalty or clipped weights have to see.

    Arjovsky et al., Wasserstein GAN (2017), eq. 3 and algorithm 1.
    """
    return fake.mean() - real.mean()


class Form(NamedTuple):
    """One adversarial game."""

    generator: Callable[[Tensor], Tensor]  # scores of translations
    discriminator: Callable[[Tensor, Tensor], Tensor]  # scores of real images, of translations


FORMS = {
    "lsgan": Form(lsgan_generator, lsgan_discriminator),
    "non_saturating": Form(non_saturating_generator, non_saturating_discriminator),
    "hinge": Form(wasserstein_generator, hinge_discriminator),
    "wasserstein": Form(wasserstein_generator, wasserstein_discriminator),
}

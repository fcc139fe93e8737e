"""Penalties on the slope of a discriminator: what keeps it smooth enough to learn from.

Each takes the discriminator as a function from images to scores and gives a 0-d tensor whose
gradient with respect to the discriminator's weights needs a second backward pass. Call them outside
autocast: squared slopes lose too much in bf16.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def slopes(critic: Critic, images: Tensor) -> Tensor:
    """‖∇D(x)‖₂ of each image: [N]. D(x) is the mean of the image's patch scores.

    `images`: float [N, 3, S, S]; no image's score may depend on another image (no batch norm).
    """
    images = images.detach().requires_grad_()
    scores = critic(images).flatten(1).mean(1)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Random points on the lines from real to translated images: ε·x + (1 − ε)·x̃, ε ~ U[0, 1)."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    return fake + share * (real - fake)


def r1(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """R₁ = ½ E[‖∇D(x)‖²] on real images alone.

    Mescheder et al., Which Training Methods for GANs do actually Converge? (2018), eq. 9.
    """
    return 0.5 * slopes(critic, real).square().mean()


def zero_centred(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """E[‖∇D(x̂)‖²] between real and translated images.

    Thanh-Tung et al., Improving Generalization and Stability of GANs (2019), eq. 8; UVCGAN v2
    (Torbunov et al., 2023) owes its stability to a zero-centred penalty.
    """
    return slopes(critic, between(real, fake)).square().mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] between real and translated images, for a Wasserstein critic.

    Gulrajani et al., Improved Training of Wasserstein GANs (2017), eq. 3; λ = 10 there.
    """
    return (slopes(critic, between(real, fake)) - 1).square().mean()


PENALTIES = {"r1": r1, "zero_centred": zero_centred, "gradient_penalty": gradient_penalty}


@torch.no_grad()
def clip_weights(weights: list[torch.nn.Parameter], limit: float) -> None:
    """Clamp every weight to [−limit, limit]: the first, crude way to a Lipschitz critic.

    Arjovsky et al., Wasserstein GAN (2017), algorithm 1 (limit 0.01).
    """
    for weight in weights:
        weight.clamp_(-limit, limit)

"""Losses: pure functions of tensors. Each returns a scalar (0-d tensor), a mean over its input.

Images are float [N, 3, H, W] in [-1, 1]; scores and logits have any shape; codes are [N, ...].
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def lsgan_generator(fake_scores: Tensor) -> Tensor:
    """L_G = ½ E[(D(G(x)) − 1)²]: the generator wants its images scored as real.

    Mao et al., Least Squares GAN (2017), eq. 9 with a=0, b=c=1.

    `fake_scores`: any shape, unbounded.
    """
    return 0.5 * (fake_scores - 1).square().mean()


def lsgan_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """L_D = ½ E[(D(y) − 1)²] + ½ E[D(G(x))²].

    Mao et al., Least Squares GAN (2017), eq. 9 with a=0, b=c=1. Shapes are free and may differ.
    """
    return 0.5 * (real_scores - 1).square().mean() + 0.5 * fake_scores.square().mean()


def cycle(returned: Tensor, real: Tensor) -> Tensor:
    """L_cyc = E‖F(G(x)) − x‖₁, the mean over pixels. Zhu et al., CycleGAN (2017), eq. 2."""
    return F.l1_loss(returned, real)


def identity(same: Tensor, real: Tensor) -> Tensor:
    """L_idt = E‖G(y) − y‖₁ for y already in the target domain, the mean over pixels.

    Taigman et al., DTN (2017), L_TID; Zhu et al., CycleGAN (2017), §5.2: keeps the colours.
    """
    return F.l1_loss(same, real)


def reconstruction(decoded: Tensor, real: Tensor) -> Tensor:
    """L_rec = E‖d(e(x)) − x‖₁: each domain's autoencoder. Royer et al., XGAN (2017), §3.2.

    The paper uses the L2 norm; L1, as in CycleGAN's cycle, blurs less.
    """
    return F.l1_loss(decoded, real)


def embedding(code: Tensor) -> Tensor:
    """The code of each image as one unit vector: [N, ...] → [N, D], ‖·‖₂ = 1.

    Without the normalisation the semantic loss is lowered by shrinking every code towards zero.
    """
    return F.normalize(code.flatten(1), dim=1)


def semantic_consistency(code: Tensor, code_of_translation: Tensor) -> Tensor:
    """L_sem = E‖ê(x) − ê(g(x))‖₂ with ê the L2-normalised embedding; 0…2, one direction.

    Royer et al., XGAN (2017), §3.2, L_sem,1→2: a translation keeps its source's embedding. `code`
    and `code_of_translation`: [N, ...] of equal shape. Call it once for each direction.
    """
    return torch.linalg.vector_norm(embedding(code) - embedding(code_of_translation), dim=1).mean()


def domain_adversarial(photo_logits: Tensor, anime_logits: Tensor) -> Tensor:
    """L_dann = ½ E[−log σ(−c(e₁(x₁)))] + ½ E[−log σ(c(e₂(x₂)))]: tell the domains apart.

    Ganin & Lempitsky (2015), eq. 1; Royer et al., XGAN (2017), §3.2. The logits come through
    `reverse_gradient`, so that one minimisation trains the classifier and misleads it.
    """
    photos = F.binary_cross_entropy_with_logits(photo_logits, torch.zeros_like(photo_logits))
    anime = F.binary_cross_entropy_with_logits(anime_logits, torch.ones_like(anime_logits))
    return 0.5 * (photos + anime)


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return -ctx.scale * grad, None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """R(x) = x, dR/dx = −scale·I: the identity that turns gradients round.

    Ganin & Lempitsky (2015), eqs. 16–17.
    """
    return _ReverseGradient.apply(x, scale)


def reversal_ramp(progress: float) -> float:
    """λ(p) = 2 / (1 + e^(−10p)) − 1, from 0 at p = 0 to ≈ 1 at p = 1.

    Ganin & Lempitsky (2015), §5.2.2: the classifier's early noise must not steer the encoders.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1

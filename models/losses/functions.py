"""Losses: pure functions of tensors. Each returns a scalar (0-d tensor), a mean over its input.

Images are float [N, 3, H, W] in [-1, 1]; scores and logits have any shape; codes are [N, ...].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


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


def masked_reconstruction(restored: Tensor, real: Tensor) -> Tensor:
    """L_mask = E‖G(m ⊙ x) − x‖₁, the mean over all pixels, those that were not masked too.

    Torbunov et al., UVCGAN (2022), §3.2: with m = 0 in the masked squares and 1 elsewhere, the
    generator is to give back the whole image.
    """
    return F.l1_loss(restored, real)


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


def domain_least_squares(photo_scores: Tensor, anime_scores: Tensor) -> Tensor:
    """L_dann = ½ E[D(e₁(x₁))²] + ½ E[(D(e₂(x₂)) − 1)²]: `domain_adversarial` by least squares.

    D is to *minimise* it, for it is D's error in telling the domains apart. So the encoders have to
    raise it, and do, since the scores come through `reverse_gradient`.
    """
    return 0.5 * photo_scores.square().mean() + 0.5 * (anime_scores - 1).square().mean()


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


def cam(own_logits: Tensor, other_logits: Tensor) -> Tensor:
    """L_cam = −E[log η(x)] − E[log(1 − η(y))]: an encoder tells images x of its domain from others.

    Kim et al., U-GAT-IT (2020), eq. 5, which weighs it with 1000. The logits, [N, 2], are those of
    the generator's attention for its source x, and for y that is already in its target domain.
    """
    own = F.binary_cross_entropy_with_logits(own_logits, torch.ones_like(own_logits))
    other = F.binary_cross_entropy_with_logits(other_logits, torch.zeros_like(other_logits))
    return own + other


def colour(colours: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """L_colour = E|C(G(x)) − T(C(x))| + E|H(G(x)) − H(T(C(x)))|, C the luma and chroma (BT.601) of
    an 8×8 thumbnail and H its mean where x has hair.

    A discriminator alone lets every translation settle on one hair colour. The thumbnail leaves
    lines and shading free, and T is `Palette.wanted`: in hair the colour that its name has in the
    other domain. H is a term of its own because locks lie elsewhere in a drawing: by C alone hair
    was halfway between its colours. Luma weighs as much as both chromas.

    Args:
        colours, wanted: C [N, 3, K] and H [N, 3, 1], of translations and as they are to be.
    """
    differences = [(x - y).abs() for x, y in zip(colours, wanted, strict=True)]
    return torch.stack([d[:, 0].mean() + d[:, 1:].mean() for d in differences]).sum()


def perceptual(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """L_perc = 1/L Σ_l E‖φ̂_l(g(x)) − φ̂_l(x)‖², with φ̂_l of unit length at every position.

    Johnson et al., Perceptual Losses (2016), eq. 2, with the normalisation of Zhang et al., LPIPS
    (2018), eq. 1, that keeps depths with large activations from drowning the others.

    Args:
        features, targets: a network's activations [N, C_l, h_l, w_l] at L depths, of the
            translation and of its source.
    """
    pairs = zip(features, targets, strict=True)
    parts = [
        (F.normalize(one, dim=1) - F.normalize(other, dim=1)).square().sum(1).mean()
        for one, other in pairs
    ]
    return torch.stack(parts).mean()


def attributes(logits: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """L_attr = 1/H Σ_h E[KL(p_h(x) ‖ p_h(G(x)))]: a translation reads as its source does.

    Hoffman et al., CyCADA (2018), eq. 4 (L_sem), with the recognizer's probabilities in place of
    its likeliest class, so that what it is unsure of asks for little.

    Args:
        logits, wanted: of each of H heads, [N, classes]; of the translations and of their sources.
    """
    parts = [
        F.kl_div(
            z.log_softmax(1), wanted[head].log_softmax(1), reduction="batchmean", log_target=True
        )
        for head, z in logits.items()
    ]
    return torch.stack(parts).mean()


def teacher(student: Tensor, wanted: Tensor) -> Tensor:
    """L_teach = E‖ê(x) − T̂(x)‖₂ with both of unit length; 0…2.

    Royer et al., XGAN (2017), §3.2: the shared code learns what a network trained with labels
    knows. `student`: codes brought to the teacher's length, `wanted`: its features, [N, D].
    """
    return torch.linalg.vector_norm(embedding(student) - embedding(wanted), dim=1).mean()

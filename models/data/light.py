"""One lightness for every photo: the same before training and before use."""

from __future__ import annotations

from torch import Tensor

from models.data.colours import luma_of

MEAN, DEVIATION = -0.05, 0.44  # of the luma of aligned photos (CelebA and selfies), medians
MOST_GAIN = 3.0  # so that a flat picture is not blown up to noise


def prepared(images: Tensor, domain: str, matched: bool) -> Tensor:
    """What a network sees of float images [N, 3, S, S]: photos are `match_light`, where asked."""
    return match_light(images) if matched and domain == "photos" else images


def match_light(images: Tensor) -> Tensor:
    """Shift and scale each image's luma to `MEAN` and `DEVIATION`; its chroma stays.

    A model breaks on light that it has never seen, and photos of users have any. Matching each
    channel would also take out the colours that a translation is to keep.

    Args:
        images: float [N, 3, S, S] in [-1, 1]; so is the result, clipped.
    """
    luma = luma_of(images)[:, None]
    mean = luma.mean((2, 3), keepdim=True)
    deviation = luma.std((2, 3), keepdim=True, correction=0)
    gain = (DEVIATION / deviation.clamp(min=1e-6)).clamp(max=MOST_GAIN)
    return (images + (gain - 1) * (luma - mean) + (MEAN - mean)).clamp(-1, 1)

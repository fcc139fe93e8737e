"""How often each drawing is shown, so that more of them have what photos have: an open mouth, say.

Where one in two photos and one in thirty drawings has an open mouth, a discriminator tells a
translation by its open mouth, and the generator learns to shut it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.errors import ModelError

UNKNOWN = "unknown"
SHARE = 0.5  # of the way from the drawings' classes to the photos': pink hair is to stay
ROUNDS = 20  # of fitting one attribute after the other; more change no weight by a percent
LEAST, MOST = 0.25, 5.0  # of a weight: no drawing is lost, and none is learned by heart


def matching_weights(
    photos: pd.DataFrame, anime: pd.DataFrame, attributes: Sequence[str]
) -> np.ndarray:
    """How often to show each drawing, float64 [N], on average 1, by the labels of both domains.

    Weighted so, the share of each class of each attribute among drawings lies half way to its share
    among photos, as far as the bounds of a weight allow: raking (Deming and Stephan, 1940). Shares
    are of the images of which the attribute is known; as many as before are of unknown ones. Raises
    ModelError for an attribute that one domain knows nothing of.
    """
    weights = np.ones(len(anime))
    wanted = {name: _wanted(photos, anime, name) for name in attributes}
    for _ in range(ROUNDS):
        for name, shares in wanted.items():
            now = pd.Series(weights).groupby(anime[name].to_numpy()).sum() / len(weights)
            weights = _bounded(weights * anime[name].map(shares / now).to_numpy())
    return weights


def _wanted(photos: pd.DataFrame, anime: pd.DataFrame, attribute: str) -> pd.Series:
    """The share that each class of `attribute` that drawings have is to have among them."""
    told = {}
    for domain, labels in (("photos", photos), ("anime", anime)):
        values = labels[attribute] if attribute in labels else pd.Series(dtype=str)
        told[domain] = values[values != UNKNOWN].value_counts(normalize=True)
        if told[domain].empty:
            raise ModelError(
                f"`match_labels` names {attribute}, of which no training image of {domain} tells "
                "anything: take it out, or label the data"
            )
    now = told["anime"]
    as_photos = told["photos"].reindex(now.index).fillna(0)
    if not as_photos.any():
        raise ModelError(
            f"`match_labels` names {attribute}, of which no training image of anime has a class "
            "that one of photos has: take it out, or label the data"
        )
    known = (anime[attribute] != UNKNOWN).mean()
    mixed = now + SHARE * (as_photos / as_photos.sum() - now)
    return pd.concat([mixed * known, pd.Series({UNKNOWN: 1 - known})])


def _bounded(weights: np.ndarray) -> np.ndarray:
    """`weights` as far as their bounds and a mean of 1 go together."""
    for _ in range(ROUNDS):
        weights = np.clip(weights / weights.mean(), LEAST, MOST)
    return weights / weights.mean()

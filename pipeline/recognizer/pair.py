"""Two recognizers, each trained on its own half of the training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from models.data.domain import Domain
from models.recognizer.network import Recognizer
from models.recognizer.settings import RecognizerSettings
from models.recognizer.training import train_recognizer
from pipeline.core import params
from pipeline.core.errors import StageError

ROLES = ("training", "evaluation")


def halves(domain: Domain, seed: int) -> tuple[Domain, Domain]:
    """Two disjoint halves of a domain, drawn at random; the same for the same seed."""
    order = np.random.default_rng([seed, len(domain)]).permutation(len(domain))
    middle = len(domain) // 2
    return domain.take(sorted(order[:middle])), domain.take(sorted(order[middle:]))


def check_heads(domains: Sequence[Domain], heads: Mapping[str, Sequence[str]]) -> None:
    """Raise StageError for a head of whose classes the images know fewer than two."""
    for head, classes in heads.items():
        seen = {label for d in domains if head in d.labels for label in d.labels[head]}
        known = sorted(seen & set(classes))
        if len(known) < 2:
            raise StageError(
                f"head '{head}' has {len(known)} known classes ({', '.join(known) or 'none'}) in "
                f"the training images, it needs two: remove recognizer.heads.{head} from "
                "params.yaml, or add images"
            )


def train_pair(
    train: Mapping[str, Domain], settings: params.Recognizer, device: str
) -> dict[str, tuple[Recognizer, pd.DataFrame]]:
    """Role → (network, loss history), each from its own half of ``train``. Raises StageError."""
    keys = settings.model_dump(exclude={"image_size", "heads", "seed"})
    budget = RecognizerSettings(**keys, device=device)
    split = [halves(domain, settings.seed) for domain in train.values()]
    trained = {}
    for i, role in enumerate(ROLES):
        domains = [pair[i] for pair in split]
        check_heads(domains, settings.heads)
        trained[role] = train_recognizer(domains, settings.heads, budget, seed=settings.seed + i)
    return trained

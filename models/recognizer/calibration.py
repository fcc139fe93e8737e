"""Calibration: of the answers that a recognizer is 80 % sure of, 80 % should be right.

Guo et al. (2017), *On Calibration of Modern Neural Networks*: networks trained by cross-entropy are
too sure of themselves, and one number a head, the temperature its logits are divided by, repairs
most of that without changing which class comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.domain import Domain
from models.recognizer.network import Recognizer
from models.recognizer.training import MASKED, class_indices

BINS = 15  # as in the paper
MIN_LABELS = 20  # fewer say nothing about a head's confidence
LIMIT = 20.0  # temperatures lie in [1/LIMIT, LIMIT]
HALVINGS = 60  # of that range; float64 has no more digits


@dataclass(frozen=True)
class Reliability:
    """Answers in `BINS` equal bins of confidence: float64 [BINS] each, 0 in an empty bin."""

    counts: Tensor
    confidence: Tensor  # mean probability of the class that came first
    accuracy: Tensor  # share of answers that are right

    @property
    def error(self) -> float:
        """Expected calibration error Σ_b (n_b / n) · |accuracy_b − confidence_b|, in [0, 1].

        Guo et al. (2017), eq. 3. 0 where there is no answer at all.
        """
        share = self.counts / self.counts.sum().clamp(min=1)
        return float((share * (self.accuracy - self.confidence).abs()).sum())


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The T in [1/20, 20] that minimises mean(−log softmax(z / T)_y) (Guo et al. 2017, sec. 4.2).

    `logits` z [N, K], `targets` y int64 [N] with `MASKED` for unknown, which take no part. 1 where
    fewer than 20 are known, and where every answer is right: the loss then has no minimum, it
    falls for ever as T goes to 0.
    """
    known = targets != MASKED
    z, y = logits[known].double(), targets[known]
    if len(y) < MIN_LABELS or bool((z.argmax(1) == y).all()):
        return 1.0
    right = z.gather(1, y[:, None])[:, 0]
    # The loss is convex in b = 1/T, so its derivative mean(Σ_k softmax(bz)_k z_k − z_y) rises:
    # halve the range around its root.
    low, high = 1 / LIMIT, LIMIT
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope = (((middle * z).softmax(1) * z).sum(1) - right).mean()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 2 / (low + high)


def calibrate(model: Recognizer, domains: Sequence[Domain]) -> None:
    """Set `model.temperatures` from held-out images of all `domains` together, a head at a time."""
    answers = [_answers(model, domain) for domain in domains]
    for name in model.heads:
        known = [answer[name] for answer in answers if name in answer]
        if known:
            logits, targets = (torch.cat(parts) for parts in zip(*known, strict=True))
            model.temperatures[name] = fit_temperature(logits, targets)


def reliability(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Reliability:
    """How sure softmax(`logits` / `temperature`) [N, K] was and how often right, by bins.

    Bin b holds the confidences in (b/15, (b+1)/15]. `targets` int64 [N]; those that are `MASKED`
    take no part.
    """
    known = targets != MASKED
    confidence, told = (logits[known].double() / temperature).softmax(1).max(1)
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)
    bins = torch.bucketize(confidence, edges[1:-1])
    right = (told == targets[known]).double()
    counts = torch.bincount(bins, minlength=BINS).double()
    sums = [torch.bincount(bins, weights, minlength=BINS) for weights in (confidence, right)]
    return Reliability(counts, *(total / counts.clamp(min=1) for total in sums))


def reliabilities(model: Recognizer, domain: Domain) -> dict[str, dict[str, Reliability]]:
    """Head → its `reliability` on a domain ``before`` and ``after`` the temperature.

    A head of which the domain knows no label is left out.
    """
    return {
        name: {
            "before": reliability(logits, targets),
            "after": reliability(logits, targets, model.temperatures[name]),
        }
        for name, (logits, targets) in _answers(model, domain).items()
        if (targets != MASKED).any()
    }


def _answers(model: Recognizer, domain: Domain) -> dict[str, tuple[Tensor, Tensor]]:
    """Head → logits [N, K] and true class indices [N], for the heads the domain has labels of."""
    logits = model.logits(domain.images)
    return {
        name: (logits[name], class_indices(list(domain.labels[name]), classes))
        for name, classes in model.heads.items()
        if name in domain.labels
    }

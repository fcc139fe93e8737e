"""Labels as vectors: what is known of a face, for networks that draw or score by it.

A vector holds one block an attribute: its classes and then "unknown", one-hot. A translation is
drawn with the labels of its *source*, which it is to keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

UNKNOWN = "unknown"  # of a label
HAIR = "hair"  # the label that names its colour
HIDDEN = 0.1  # share of known labels that training hides, so that translating without any works

Labels = Mapping[str, Sequence[str]]  # attribute → its classes


def width(labels: Labels) -> int:
    """Length of a vector: the classes and one "unknown" of every attribute; 0 without labels."""
    return sum(len(classes) + 1 for classes in labels.values())


def label_indices(frame: pd.DataFrame, labels: Labels) -> Tensor:
    """int64 [N, attributes]: each row's class; the number of classes where it is none of them.

    A column that `frame` lacks is unknown everywhere.
    """
    columns = []
    for name, classes in labels.items():
        index = {value: i for i, value in enumerate(classes)}
        values = frame[name] if name in frame else [UNKNOWN] * len(frame)
        columns.append([index.get(value, len(classes)) for value in values])
    return torch.tensor(columns, dtype=torch.int64).reshape(len(labels), len(frame)).T.contiguous()


def hide(indices: Tensor, labels: Labels, share: float = HIDDEN) -> Tensor:
    """`indices` with a random `share` made unknown; random numbers come from torch's RNG."""
    unknown = torch.tensor([len(classes) for classes in labels.values()], device=indices.device)
    hidden = torch.rand(indices.shape, device=indices.device) < share
    return torch.where(hidden, unknown, indices)


def one_hot(indices: Tensor, labels: Labels) -> Tensor:
    """int64 [N, attributes] → float32 [N, width]."""
    blocks = [
        F.one_hot(column, len(classes) + 1)
        for column, classes in zip(indices.T, labels.values(), strict=True)
    ]
    return torch.cat(blocks, dim=1).float()

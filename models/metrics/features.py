"""Where KID looks: a recognizer's activations at every depth, in place and not only on average."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

from models.data.augment import to_float
from models.metrics.kid import Standardiser
from models.recognizer.network import Recognizer

GRID = 4  # cells a side


class FeatureSpace:
    """`spatial_features` of one recognizer, scaled as on real training images of both domains."""

    def __init__(self, recognizer: Recognizer, *real: Tensor) -> None:
        """``real``: uint8 [N, 3, S, S] for each domain."""
        self.recognizer = recognizer
        self.standardise = Standardiser.fit(*[spatial_features(recognizer, x) for x in real])

    def __call__(self, images: Tensor) -> np.ndarray:
        """uint8 [N, 3, S, S] → standardised float64 [N, D]."""
        return self.standardise(spatial_features(self.recognizer, images))


@torch.inference_mode()
def spatial_features(recognizer: Recognizer, images: Tensor, batch_size: int = 256) -> np.ndarray:
    """Mean activation in each cell of a `GRID` × `GRID` grid after every stage.

    The recognizer's last layer alone, averaged over the image, is nearly blind to what no
    attribute depends on: real anime faces cut into 16 squares and laid out anew scored as well as
    whole ones. Early stages see blur, noise and checkerboards, and the grid sees the layout
    (several depths, as LPIPS uses them: Zhang et al. 2018, arXiv:1801.03924).

    ``images`` uint8 [N, 3, S, S] → float32 [N, GRID² · channels of all stages].
    """
    device = next(recognizer.parameters()).device
    fitted = fit_size(images, recognizer.image_size)
    batches = [_stages(recognizer, batch.to(device)) for batch in fitted.split(batch_size)]
    return torch.cat(batches).numpy()


def fit_size(images: Tensor, size: int) -> Tensor:
    """uint8 [N, 3, S, S] at the side the recognizer was trained for, which may be another."""
    side = [size, size]
    return images if list(images.shape[-2:]) == side else tvf.resize(images, side, antialias=True)


def _stages(recognizer: Recognizer, images: Tensor) -> Tensor:
    x, cells = to_float(images), []
    for i, layer in enumerate(recognizer.body):
        x = layer(x)
        if i % 2:  # a stage is two convolutions
            cells.append(F.adaptive_avg_pool2d(x, GRID).flatten(1).float())
    return torch.cat(cells, dim=1).cpu()

"""Where pictures are compared: the features of a public network that no loss may ask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor

from models.data.augment import fit_size
from models.errors import ModelError
from models.public import efficientnet
from models.public.door import digest
from models.runtime.device import pick_device

RANKING = "efficientnet_lite1"  # what ranks; the others stand beside it
# Pixels: smaller pictures are enlarged. At 64 px JPEG artefacts and photos among drawings cannot be
# told apart (docs/evaluation.md); at 128 they can, at four times the time.
SIDE = 128
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # in torch.hub's cache, where one has it


@dataclass(frozen=True)
class FeatureSpace:
    """A network's features, under a name that tells which weights gave them."""

    name: str  # network:first digits of the sha256 of its weights
    network: Callable[[Tensor], Tensor]  # uint8 [N, 3, S, S] → float [N, D]
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: Tensor, batch_size: int = 64) -> np.ndarray:
        """uint8 RGB [N, 3, S, S] → float64 [N, D]."""
        parts = [self._features(x.to(self.device)) for x in images.split(batch_size)]
        return torch.cat(parts).numpy()

    def _features(self, images: Tensor) -> Tensor:
        told = self.network(images)
        if not isinstance(told, Tensor) or told.ndim != 2 or len(told) != len(images):
            raise ModelError(f"{self.name} must give [N, D] features of N images")
        return told.double().cpu()


def ranking_space(device: str = "auto") -> FeatureSpace:
    """The last pooled layer of `RANKING`, 1280 values.

    Raises ModelError with the command that brings the weights, where they are not here.
    """
    network = efficientnet.load(RANKING, use="evaluation", device=device)
    return FeatureSpace(
        f"{RANKING}:{digest(RANKING)}",
        lambda images: network.pooled(at_least(images, SIDE)),
        pick_device(device),
    )


def further_space(path: Path, device: str = "auto") -> FeatureSpace:
    """A network of the user's, as DINOv2 or CLIP: what `torch.export.save` has written.

    It takes uint8 RGB [N, 3, S, S] and gives float [N, D]: N is a dynamic dimension, S the side of
    the project's images; resizing and scaling are its own. Raises ModelError when it does not.
    """
    if not is_zipfile(path):
        raise ModelError(f"{path} holds no exported network: write one with torch.export.save")
    network = torch.export.load(path).module().to(pick_device(device))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureSpace(f"{path.stem}:{sha256[:8]}", network, pick_device(device))


def inception_space(device: str = "auto") -> FeatureSpace | None:
    """Inception's 2048 features, which papers give; None where torch-fidelity or its file is not.

    They are those of the TensorFlow network of 2015 (Heusel et al., 2017), as torch-fidelity has
    them, which also scales pictures to 299 px. Raises ModelError when the file is another.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION
    if not file.is_file():
        return None
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        return None
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    if not file.stem.endswith(sha256[:8]):  # it is a pickle, which is opened only if it is known
        raise ModelError(f"{file} is not the file that its name says: delete it")
    network = FeatureExtractorInceptionV3("inception", ["2048"], str(file))
    network = network.eval().to(pick_device(device))
    return FeatureSpace(f"inception:{sha256[:8]}", lambda x: network(x)[0], pick_device(device))


def at_least(images: Tensor, side: int) -> Tensor:
    """uint8 [N, 3, S, S], enlarged to ``side`` where they are smaller."""
    return images if images.shape[-1] >= side else fit_size(images, side)

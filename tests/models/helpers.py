"""Small random domains and variants that train in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from models.checkpoint import save_translator
from models.data.domain import Domain
from models.domains import DOMAINS
from models.metrics.features import FeatureSpace
from models.recognizer.network import Recognizer
from models.training.engine import TrainResult
from models.training.settings import TrainSettings
from models.variants import Variant, variant_from_dict
from pipeline.core.tables import encode_png

XGAN_LOSSES = {
    "adversarial": 1.0,
    "cycle": 2.0,
    "reconstruction": 10.0,
    "semantic_consistency": 1.0,
    "domain_adversarial": 1.0,
}


def domain(name: str, count: int = 16, size: int = 32) -> Domain:
    """Smooth random images: blurry squares of one colour on another, a function of the name."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    colours = torch.randint(0, 256, (count, 2, 3, 1, 1), generator=generator, dtype=torch.uint8)
    images = colours[:, 0].repeat(1, 1, size, size)
    quarter = size // 4
    images[:, :, quarter:-quarter, quarter:-quarter] = colours[:, 1]
    return Domain(images, [f"{name}{i}" for i in range(count)], pd.DataFrame(index=range(count)))


def write_splits(root: Path, *splits: str, count: int = 8) -> None:
    """`domain`s as the `split` stage leaves them: a shard of PNGs for each split and domain."""
    for split in splits:
        (root / split).mkdir(parents=True)
        for name in DOMAINS:
            some = domain(name, count)
            pictures = some.images.permute(0, 2, 3, 1).numpy()
            rows = [{"bytes": encode_png(picture), "path": None} for picture in pictures]
            frame = pd.DataFrame({"id": some.ids, "image": rows})
            frame.to_parquet(root / split / f"{name}-00000.parquet")


def variant(architecture: str, **changes) -> Variant:
    """A tiny variant with every loss of its kind."""
    losses = (
        XGAN_LOSSES if architecture == "xgan" else {"adversarial": 1, "cycle": 10, "identity": 5}
    )
    tiny = {
        "architecture": architecture,
        "channels": 4,
        "blocks": 2,
        "discriminator_channels": 4,
        "discriminator_layers": 2,
        "shift": 0.05,
        "return_noise": 0.02,
        "losses": losses,
    }
    return variant_from_dict({**tiny, **changes}, name=architecture)


def settings(**changes) -> TrainSettings:
    """A few steps at 32 px, the same on every machine: no precision or device is left to choose."""
    few = {
        "budget_images": 64,
        "batch_size": 4,
        "image_size": 32,
        "pool_size": 6,
        "log_every": 12,
        "sample_every": 0,
        "state_every": 8,
        "sample_count": 2,
        "precision": "fp32",
        "device": "cpu",
    }
    return TrainSettings(**{**few, **changes})


def light_reader(heads: dict[str, list[str]], size: int, limit: int) -> Recognizer:
    """A recognizer made by hand: to every head it answers the first class for images that are
    darker than `limit` (0…255) on average, else the second. What else it sees is random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reader = Recognizer(heads, 4, size).eval()
    with torch.no_grad():
        for depth, (conv, norm, _) in enumerate(reader.body):
            conv.weight[0] = 0  # channel 0 is the mean of its neighbourhood, at every depth
            conv.weight[0, : 1 if depth else 3] = 1 / 9 if depth else 1 / 27
            norm.bias[0] = 0 if depth else 1  # above 0, where the ReLUs change nothing
        between = reader.pooled(torch.full((1, 3, size, size), limit / 127.5 - 1))[0, 0]
        for output in reader.outputs.values():
            output.weight.zero_()
            output.bias.fill_(-100)
            output.weight[:2, 0] = torch.tensor([-20.0, 20.0])
            output.bias[:2] = between * torch.tensor([20.0, -20.0])
    return reader


def assert_descends(loss: Callable[[], Tensor], weights: Iterable[Tensor]) -> None:
    """A step against the gradient that should lower `loss` a little does, by about as much.

    The gradient is right, and one step on one batch learns: what no rounding, and no luck of a long
    training, decides. `loss` may draw at random.
    """
    weights = list(weights)
    torch.manual_seed(1)
    before = loss()
    slopes = torch.autograd.grad(before, weights, allow_unused=True, materialize_grads=True)
    wanted = 1e-6 + 1e-4 * before.detach().abs()
    size = wanted / sum(slope.square().sum() for slope in slopes)
    with torch.no_grad():
        for weight, slope in zip(weights, slopes, strict=True):
            weight -= size * slope
    torch.manual_seed(1)
    lower = ((before - loss()) / wanted).item()
    assert 0.5 < lower < 1.5


def assert_same_pictures(ours: Tensor, theirs: Tensor) -> None:
    """uint8 batches of the same networks, whose sums another memory format or batch may round
    otherwise: by a level at most."""
    assert ours.dtype == theirs.dtype == torch.uint8
    torch.testing.assert_close(ours.int(), theirs.int(), rtol=0, atol=1)


def write_result(out: Path, result: TrainResult) -> None:
    """All that two runs of the same are compared by, and where this one went on from."""
    save_translator(out, result.translator, result.key, result.images_seen)
    result.history.to_csv(out / "history.csv", index=False)
    result.pretraining.to_csv(out / "pretraining.csv", index=False)
    (out / "resumed_from").write_text(str(result.resumed_from))


def grid_space(cells: int = 4) -> FeatureSpace:
    """Mean colour of each cell of a grid, 0 to 1: features whose values can be worked by hand."""
    return FeatureSpace(
        "grid:00000000",
        lambda images: F.adaptive_avg_pool2d(images.float() / 255, cells).flatten(1),
        torch.device("cpu"),
    )

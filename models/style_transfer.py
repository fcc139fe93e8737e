"""Style transfer without training: an image is optimised until its features have a style's
statistics (Gatys, Ecker & Bethge, Image Style Transfer Using Convolutional Neural Networks, 2016).

The paper takes the style from one painting. Here it is a domain's, Gram matrices averaged over its
training images, so that this is a translator as any other: a baseline for those that learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from models.data.augment import to_float
from models.data.domain import Domain, StreamedDomain
from models.domains import DIRECTIONS, DOMAINS
from models.errors import ModelError
from models.recognizer.network import Recognizer, check_structure
from models.variants import Variant

RATE = 0.01  # of Adam's first step, in an image of -1…1; it falls linearly to 0
CONTENT = -2  # the depth at which contents are compared: the last but one


def gram(features: Tensor) -> Tensor:
    """G_ij = 1/M Σ_k F_ik F_jk, which channels occur together: [N, C, h, w] → [N, C, C].

    Gatys et al. (2016), eq. 3, divided by the number of positions M = h·w, so that images of any
    size compare.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(features: Sequence[Tensor], grams: Sequence[Tensor]) -> Tensor:
    """L_style = 1/L Σ_l ‖G_l − A_l‖² / ‖A_l‖² of each image: [N]; 1 where no channel is active.

    Gatys et al. (2016), eqs. 4 and 5 with equal w_l. Their constant 1/(4C²M²) is replaced by the
    size of the target, so that one weight fits any feature network.

    Args:
        features: activations [N, C_l, h_l, w_l] at L depths.
        grams: the style A_l, [C_l, C_l] each.
    """
    parts = [
        (gram(f) - wanted).square().sum((1, 2)) / wanted.square().sum()
        for f, wanted in zip(features, grams, strict=True)
    ]
    return torch.stack(parts).mean(0)


def content_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """L_content = ‖F − P‖² / ‖P‖² of each image: [N, C, h, w] twice → [N].

    Gatys et al. (2016), eq. 1, its constant ½ replaced as in `style_loss`.
    """
    return (features - wanted).square().sum((1, 2, 3)) / wanted.square().sum((1, 2, 3))


class VGG19(nn.Module):
    """The layers of VGG-19 (Simonyan & Zisserman, 2015) up to conv5_1, with random weights."""

    mean: Tensor
    std: Tensor
    taps = (1, 6, 11, 20, 29)  # behind conv1_1, conv2_1, … conv5_1: the paper's style layers

    def __init__(self) -> None:
        super().__init__()
        self.features = make_layers(cfgs["E"], batch_norm=False)[: self.taps[-1] + 1]
        expected = VGG19_Weights.IMAGENET1K_V1.transforms()
        self.register_buffer("mean", torch.tensor(expected.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(expected.std).view(3, 1, 1))

    def depths(self, images: Tensor) -> list[Tensor]:
        """Float [N, 3, S, S] in [-1, 1], S ≥ 16 → features at five depths.

        They are [N, C, S/2^l, S/2^l] for l = 0…4 with C = 64, 128, 256, 512, 512.
        """
        images = ((images + 1) / 2 - self.mean) / self.std
        found = []
        for place, layer in enumerate(self.features):
            images = layer(images)
            if place in self.taps:
                found.append(images)
        return found


class StyleTransfer(nn.Module):
    """A frozen feature network and the styles of both domains, all zero until `fit`."""

    def __init__(self, variant: Variant, features: Recognizer | VGG19) -> None:
        super().__init__()
        self.steps, self.style_weight = variant.style_steps, variant.style_weight
        self.features = features.eval().requires_grad_(False)
        for domain in DOMAINS:
            for depth, found in enumerate(features.depths(torch.zeros(1, 3, 16, 16))):
                self.register_buffer(f"gram_{domain}_{depth}", torch.zeros_like(gram(found)[0]))

    @property
    def structure(self) -> dict[str, int]:
        """What `new_features` needs to build this feature network again."""
        if isinstance(self.features, VGG19):
            return {}
        return {"channels": self.features.channels, "image_size": self.features.image_size}

    def style(self, domain: str) -> list[Tensor]:
        """The mean Gram matrix [C, C] of `domain` at every depth."""
        named = self.named_buffers(recurse=False)
        return [value for name, value in named if name.startswith(f"gram_{domain}_")]

    @torch.no_grad()
    def fit(self, domains: Mapping[str, Domain | StreamedDomain], batch_size: int = 64) -> None:
        """Take the styles of the domains from one look at each of their images."""
        for domain, every in domains.items():
            for total in self.style(domain):
                total.zero_()
            for batch in every.split(batch_size):
                found = self.features.depths(to_float(batch.to(self.style(domain)[0].device)))
                for total, f in zip(self.style(domain), found, strict=True):
                    total += gram(f).sum(0) / len(every)

    def losses(self, images: Tensor, content: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """The content loss [N] of float images against features `content`, and the style loss [N]
        against the style of `domain`."""
        found = self.features.depths(images)
        return content_loss(found[CONTENT], content), style_loss(found, self.style(domain))

    def translate(self, images: Tensor, direction: str, labels: Tensor | None = None) -> Tensor:
        """Float [N, 3, S, S] in [-1, 1] → the same, in the style of the direction's target.

        Adam takes `style_steps` steps from the image itself. Losses are summed over the images and
        Adam scales each pixel by itself, so no image depends on what else is in the batch; L-BFGS,
        the paper's choice, would couple them. `labels` change nothing.
        """
        # Gradients are needed here, whatever mode the caller is in.
        with torch.inference_mode(False), torch.enable_grad():
            images = images.clone()
            content = self.features.depths(images)[CONTENT]
            # The change is drawn at half the size: finer, and the recognizer, whose first layer
            # skips every other pixel, would be pleased by a checkerboard.
            change = F.avg_pool2d(torch.zeros_like(images), 2).requires_grad_()
            optimizer = torch.optim.Adam([change])
            for step in range(self.steps):
                for group in optimizer.param_groups:
                    group["lr"] = RATE * (1 - step / self.steps)
                drawn = changed(images, change)
                kept, styled = self.losses(drawn, content, DIRECTIONS[direction][1])
                optimizer.zero_grad(set_to_none=True)
                (kept + self.style_weight * styled).sum().backward()
                optimizer.step()
            return changed(images, change).detach()


def changed(images: Tensor, change: Tensor) -> Tensor:
    """Float [N, 3, S, S] plus a change [N, 3, S/2, S/2], enlarged; clamped to [-1, 1]."""
    larger = F.interpolate(change, size=list(images.shape[2:]), mode="bilinear")
    return (images + larger).clamp(-1, 1)


def new_features(name: str, structure: Mapping[str, int] | None = None) -> Recognizer | VGG19:
    """The feature network `name` with random weights; `structure` is of `StyleTransfer`."""
    if name == "vgg19":
        return VGG19()
    told = structure or {"channels": 1, "image_size": 16}
    check_structure(told)
    return Recognizer({}, **told)  # its heads are not asked


def trained_features(name: str, recognizer: Recognizer | None) -> Recognizer | VGG19:
    """The feature network `name`, trained: a copy of `recognizer`, or torchvision's VGG-19.

    Raises ModelError where VGG's weights are not on disk: they are never downloaded.
    """
    if name == "vgg19":
        return cached_vgg19(Path(torch.hub.get_dir()) / "checkpoints")
    assert recognizer is not None
    shape = {"channels": recognizer.channels, "image_size": recognizer.image_size}
    features = Recognizer({}, **shape)
    features.body.load_state_dict(recognizer.body.state_dict())
    return features


def cached_vgg19(folder: Path) -> VGG19:
    """VGG-19 with torchvision's ImageNet weights, from torch.hub's cache `folder`."""
    path = folder / Path(VGG19_Weights.IMAGENET1K_V1.url).name
    if not path.is_file():
        raise ModelError(
            f"style_features vgg19 needs torchvision's weights at {path}: put them there, or set "
            "style_features to recognizer"
        )
    network = VGG19()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        wanted = {name: weights[f"features.{name}"] for name in network.features.state_dict()}
        network.features.load_state_dict(wanted)
    except Exception as error:  # a torn pickle may raise almost anything
        raise ModelError(f"{path} does not hold VGG-19's weights: fetch it again") from error
    return network


def style_report(network: StyleTransfer, shown: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean `style` and `content` losses of translations of the `shown` images of each domain, uint8
    [N, 3, S, S], over both directions; `style_of_source` is that before the first step."""
    rows = []
    for direction, (source, target) in DIRECTIONS.items():
        images = to_float(shown[source].to(network.style(target)[0].device))
        drawn = network.translate(images, direction)
        with torch.no_grad():
            content = network.features.depths(images)[CONTENT]
            before = network.losses(images, content, target)[1]
            rows.append(torch.stack([*network.losses(drawn, content, target), before]).mean(1))
    kept, styled, before = torch.stack(rows).mean(0).tolist()
    return {"style": styled, "content": kept, "style_of_source": before}

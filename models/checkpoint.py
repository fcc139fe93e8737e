"""A trained translator: safetensors weights, a JSON config, and uint8 in, uint8 out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import torch
from torch import Tensor, nn

from models.data.augment import to_float, to_uint8
from models.data.conditioning import label_indices, one_hot
from models.data.light import prepared
from models.domains import DIRECTIONS, other
from models.errors import ModelError
from models.knobs import MOST_PIXELS
from models.networks.translator import TranslationNetwork
from models.runtime.device import pick_device
from models.runtime.files import CONFIG, PRETRAINED, SHIPPED, WEIGHTS
from models.runtime.weights import read_model, write_model
from models.variants import NETWORK_KEYS, Variant, variant_from_dict

if TYPE_CHECKING:  # torchvision takes as long to import as torch: only style transfer needs it
    from models.style_transfer import StyleTransfer

Network: TypeAlias = "TranslationNetwork | StyleTransfer"
HAIR_PART = "hair."  # of `TranslationNetwork`
# The pieces that an XGAN shares, and the domain whose piece of a CycleGAN draws photos as anime.
DEEP_PARTS = {
    "deep_encoders": "photos", "to_codes": "photos", "cams": "photos", "deep_decoders": "anime",
}  # fmt: skip


class Translator:
    """Translates uint8 images in both directions, in float32 on any device."""

    def __init__(self, network: Network, variant: Variant, image_size: int) -> None:
        network.to(memory_format=torch.channels_last)
        self.network = network.eval().requires_grad_(False)
        self.variant, self.image_size = variant, image_size

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def to(self, device: torch.device | str) -> Translator:
        """Move the weights; returns self."""
        self.network.to(device)
        return self

    def translate(
        self,
        images: Tensor,
        direction: str,
        labels: pd.DataFrame | None = None,
        batch_size: int = 64,
    ) -> Tensor:
        """uint8 [N, 3, S, S] → uint8 [N, 3, S, S] on the CPU; S is `image_size`.

        `direction`: "photos2anime" or "anime2photos". `labels`: the images' N rows of strings,
        which a variant with labels draws by; without, it draws as of faces nothing is known of.
        Raises ModelError for another direction, dtype or size.
        """
        if direction not in DIRECTIONS:
            raise ModelError(f"unknown direction {direction!r}: use {' or '.join(DIRECTIONS)}")

        def there(x: Tensor, known: Tensor | None) -> Tensor:
            return self.network.translate(x, direction, known)

        return self._map(images, DIRECTIONS[direction][0], labels, there, batch_size)

    def seen(self, images: Tensor, domain: str) -> Tensor:
        """uint8 [N, 3, S, S] of `domain` → what the network sees of them, which a way there and
        back is compared with: with `match_light` photos in the one light, else `images`."""
        return to_uint8(prepared(to_float(images), domain, self.variant.match_light))

    def reconstruct(
        self,
        images: Tensor,
        domain: str,
        labels: pd.DataFrame | None = None,
        batch_size: int = 64,
    ) -> Tensor:
        """uint8 [N, 3, S, S] of `domain` → the image that training asks to get back.

        The autoencoder's output where the variant trains one (`reconstruction`), else the way to
        the other domain and back (`cycle`). `labels`: see `translate`.
        """
        network = self.network

        def autoencode(x: Tensor, known: Tensor | None) -> Tensor:
            assert isinstance(network, TranslationNetwork)
            return network.decode(network.encode(x, domain), domain, known)

        def return_trip(x: Tensor, known: Tensor | None) -> Tensor:
            there = network.translate(x, f"{domain}2{other(domain)}", known)
            return network.translate(there, f"{other(domain)}2{domain}", known)

        way = autoencode if self.variant.weight("reconstruction") else return_trip
        return self._map(images, domain, labels, way, batch_size)

    @torch.inference_mode()
    def _map(
        self,
        images: Tensor,
        domain: str,
        labels: pd.DataFrame | None,
        network: Callable[[Tensor, Tensor | None], Tensor],
        batch_size: int,
    ) -> Tensor:
        size = self.image_size
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1:] != (3, size, size):
            raise ModelError(
                f"the translator takes uint8 [N, 3, {size}, {size}], "
                f"got {images.dtype} {list(images.shape)}"
            )
        frame = labels if labels is not None else pd.DataFrame(index=range(len(images)))
        known = label_indices(frame, self.variant.labels).split(batch_size)
        done = []
        for batch, rows in zip(images.split(batch_size), known, strict=True):
            vectors = one_hot(rows, self.variant.labels).to(self.device) if rows.shape[1] else None
            x = prepared(to_float(batch.to(self.device)), domain, self.variant.match_light)
            done.append(to_uint8(network(x, vectors)).cpu())
        return torch.cat(done) if done else images.cpu()


def new_network(
    variant: Variant, image_size: int, features: Mapping[str, int] | None = None
) -> Network:
    """The network of the variant's architecture, before training.

    `features`: of style transfer, the structure of the feature network as config.json has it.
    """
    if variant.learns:
        return TranslationNetwork(variant, image_size)
    from models.style_transfer import StyleTransfer, new_features

    return StyleTransfer(variant, new_features(variant.style_features, features))


def untrained_translator(variant: Variant, image_size: int, seed: int) -> Translator:
    """The initial weights of a run with this seed, zero steps: evaluation's control.

    Style transfer without a step is a copy.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = new_network(replace(variant, style_steps=0), image_size)
    return Translator(network, variant, image_size)


def folder_of(init: str) -> Path:
    """The folder that `Variant.init` names."""
    return PRETRAINED if init == SHIPPED else Path(init)


def start_from(init: str, network: nn.Module, variant: Variant) -> None:
    """Load the weights of the trained model that ``init`` names into the variant's ``network``.

    An XGAN may start from a CycleGAN: see `shared_weights`. Raises ModelError where the model is
    absent, broken, or computes something else than the variant.
    """
    folder, ours = folder_of(init), variant.to_dict()
    weights, config = read_model(folder / WEIGHTS, folder / CONFIG)
    try:
        theirs = variant_from_dict(config["variant"]).to_dict()
    except (KeyError, TypeError):
        raise ModelError(f"{folder / CONFIG} is no trained model's: give another `init`") from None
    if (theirs["architecture"], ours["architecture"]) == ("cyclegan", "xgan"):
        theirs["architecture"], weights = "xgan", shared_weights(weights)
    differ = [f"{key}: {theirs.get(key)}" for key in NETWORK_KEYS if theirs.get(key) != ours[key]]
    if differ:
        raise ModelError(
            f"variant {variant.name} cannot start from {folder}, which has {', '.join(differ)}: "
            "give it the same"
        )
    known = {name: value for name, value in weights.items() if not name.startswith(HAIR_PART)}
    own = {n: value for n, value in network.state_dict().items() if n.startswith(HAIR_PART)}
    try:
        network.load_state_dict(known | own)  # hair is learned anew, of the images that there are
    except RuntimeError:
        raise ModelError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it") from None


def shared_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An XGAN's weights from a CycleGAN's, whose photos → anime generator it then is exactly.

    What is shared comes from that direction. The other one is put together from layers that never
    met, and learns from there.
    """
    kept = {}
    for name, value in weights.items():
        part, domain, *_ = name.split(".")
        if part not in DEEP_PARTS:
            kept[name] = value
        elif domain == DEEP_PARTS[part]:
            kept[name.replace(f"{part}.{domain}.", f"{part}.both.", 1)] = value
    return kept


def save_translator(
    dir: Path | str,
    translator: Translator,
    key: str,
    images_seen: int,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write `generator.safetensors` and `config.json` into `dir`; same run, same bytes.

    `origin`: further keys of config.json, which tell a user of the model what its images were:
    `template`, the places of the eyes, and `data`.
    """
    dir = Path(dir)
    config = {
        "variant": translator.variant.to_dict(),
        "image_size": translator.image_size,
        "images_seen": images_seen,
        "key": key,
        **(origin or {}),
    }
    if not isinstance(translator.network, TranslationNetwork):
        config["features"] = translator.network.structure
    write_model(dir / WEIGHTS, dir / CONFIG, translator.network.state_dict(), config)


def load_translator(dir: Path | str, device: str = "auto") -> Translator:
    """Read what `save_translator` wrote. Raises ModelError when it is absent or does not fit."""
    dir = Path(dir)
    weights, config = read_model(dir / WEIGHTS, dir / CONFIG)
    try:
        variant, image_size = variant_from_dict(config["variant"]), config["image_size"]
        if type(image_size) is not int or not 0 < image_size <= MOST_PIXELS:
            raise ValueError(f"image_size is {image_size!r}")
        with torch.random.fork_rng():
            network = new_network(variant, image_size, config.get("features"))
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{dir / WEIGHTS} does not fit {CONFIG} beside it: train again") from error
    return Translator(network, variant, image_size).to(pick_device(device))

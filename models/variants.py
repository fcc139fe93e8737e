"""A variant is data: which parts the networks share, how large they are, which losses count."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.errors import ModelError

# Every loss a variant may weigh; models/objective.py holds one function for each.
LOSSES = (
    "adversarial",
    "cycle",
    "identity",
    "reconstruction",
    "semantic_consistency",
    "domain_adversarial",
)
ARCHITECTURES = ("cyclegan", "xgan")


@dataclass(frozen=True)
class Variant:
    """One row of an experiment table. Defaults are the published CycleGAN at ≤ 128 px."""

    name: str
    architecture: str = "cyclegan"  # "xgan" shares the deep layers of both domains
    channels: int = 64  # of the generator's first layer; doubled by each of two downsamplings
    blocks: int = 6  # residual blocks, half of them in the encoder
    embedding: int = 0  # length of the code vector; 0 keeps it a map, which blurs less
    upsampling: str = "transposed"  # or "nearest": no checkerboards, half again as slow
    norm: str = "instance"  # or "layer", which keeps the colours
    residual: bool = False  # cyclegan only: draw the change to the image, not a new one
    discriminator_channels: int = 64
    discriminator_layers: int = 3
    # Learning rate of the discriminators as a multiple of the generators' (two time scales: Heusel
    # et al., 2017). Below 1 a short run paints shapes before it paints noise.
    discriminator_rate: float = 1.0
    losses: Mapping[str, float] = field(
        default_factory=lambda: {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
    )
    # Augmentation of real images, on the device.
    flip: bool = True
    shift: float = 0.0  # largest shift, as a fraction of the side
    zoom: float = 0.0  # largest relative change of scale
    # σ of the noise on a translation before its way back: CycleGAN hides the source in high
    # frequencies (Chu et al., 2017), and noise drowns them.
    return_noise: float = 0.0

    @property
    def shared(self) -> bool:
        """Whether both domains use the same deep layers."""
        return self.architecture == "xgan"

    def weight(self, loss: str) -> float:
        """The weight of a loss; 0 where the variant does not name it."""
        return self.losses.get(loss, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `variant_from_dict` reads back."""
        return {**asdict(self), "losses": dict(self.losses)}


# Without the identity loss a short run may settle on dark faces with light hair: nothing else in
# XGAN says which side is which.
_XGAN = {
    "adversarial": 1.0,
    "reconstruction": 10.0,
    "identity": 5.0,
    "semantic_consistency": 1.0,
    "domain_adversarial": 1.0,
}

BUILT_IN = {
    "cyclegan": Variant("cyclegan"),
    "xgan": Variant("xgan", architecture="xgan", norm="layer", losses=_XGAN),
}


def variant_from_dict(data: Mapping[str, Any], name: str | None = None) -> Variant:
    """Build a variant from plain data, say a row of params.yaml; absent keys keep the defaults.

    `name` is used where `data` has none. Raises ModelError on an unknown key, loss or
    architecture (naming the nearest valid one) and on a value of the wrong type or range.
    """
    data = {"name": name, **data} if name else dict(data)
    known = {f.name: f for f in fields(Variant)}
    refuse_unknown("key", data, known)
    if "name" not in data:
        raise ModelError("a variant needs a name: add `name:`")
    variant = replace(Variant(str(data["name"])), **data)
    _check(variant)
    return replace(variant, losses={k: float(v) for k, v in variant.losses.items()})


def refuse_unknown(what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise ModelError for the first of `names` not in `valid`, with the nearest valid one."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.0)
            raise ModelError(
                f"unknown variant {what} {name!r}: did you mean {near[0]!r}? "
                f"valid: {', '.join(valid)}"
            )


def _check(variant: Variant) -> None:
    """Raise ModelError where a value has the wrong type or lies out of range."""
    refuse_unknown("architecture", [variant.architecture], ARCHITECTURES)
    refuse_unknown("upsampling", [variant.upsampling], ["transposed", "nearest"])
    refuse_unknown("norm", [variant.norm], ["instance", "layer"])
    if not isinstance(variant.losses, Mapping):
        raise ModelError(f"variant {variant.name}: `losses` must map names to weights")
    refuse_unknown("loss", variant.losses, LOSSES)
    for key in ("channels", "discriminator_channels", "discriminator_layers"):
        _number(variant, key, getattr(variant, key), 1, whole=True)
    for key in ("blocks", "embedding"):
        _number(variant, key, getattr(variant, key), 0, whole=True)
    for key in ("discriminator_rate", "shift", "zoom", "return_noise"):
        _number(variant, key, getattr(variant, key), 0)
    for key in ("flip", "residual"):
        if not isinstance(getattr(variant, key), bool):
            raise ModelError(f"variant {variant.name}: `{key}` must be true or false")
    for loss, weight in variant.losses.items():
        _number(variant, f"losses.{loss}", weight, 0)
    on_codes = variant.weight("semantic_consistency") or variant.weight("domain_adversarial")
    if variant.residual and (variant.shared or variant.embedding or on_codes):
        raise ModelError(
            f"variant {variant.name}: `residual` puts the image into the code, so it needs "
            "architecture cyclegan, embedding 0 and no loss on codes"
        )
    if not any(variant.losses.values()):
        raise ModelError(f"variant {variant.name}: every loss has weight 0, nothing to train")


def _number(variant: Variant, key: str, value: Any, least: float, whole: bool = False) -> None:
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not least <= value < math.inf:
        kind = "a whole number" if whole else "a number"
        raise ModelError(
            f"variant {variant.name}: `{key}` must be {kind} of at least {least}, got {value!r}"
        )

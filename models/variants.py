"""A variant is data: which parts the networks share, how large they are, which losses count."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.errors import ModelError

# Every loss a variant may weigh; models/losses/objective.py holds one function for each.
LOSSES = (
    "adversarial",
    "cycle",
    "identity",
    "reconstruction",
    "semantic_consistency",
    "domain_adversarial",
    "perceptual",
    "teacher",
    "cam",
)
JUDGED = ("perceptual", "teacher")  # losses that ask a trained recognizer
CHOICES = {  # the values of every key that is a word
    "architecture": ("cyclegan", "xgan", "xgan_published", "gatys"),
    "upsampling": ("transposed", "nearest", "bilinear"),
    "norm": ("instance", "layer", "adalin"),
    "attention": ("none", "cam", "self"),
    "discriminator_attention": ("none", "cam"),
    "discriminator_norm": ("instance", "spectral", "none"),
    "adversarial_form": ("lsgan", "non_saturating", "hinge", "wasserstein"),
    "penalty": ("none", "r1", "zero_centred", "gradient_penalty"),
    "domain_form": ("cross_entropy", "least_squares"),
    "style_features": ("recognizer", "vgg19"),
}
NAME = "[A-Za-z][A-Za-z0-9_-]{0,63}"
STYLE_KEYS = ("style_steps", "style_weight", "style_features")  # of architecture gatys, and no more
DIFF_AUGMENTS = ("colour", "translation", "cutout")


@dataclass(frozen=True)
class Variant:
    """One row of an experiment table. Defaults are the published CycleGAN at ≤ 128 px."""

    name: str
    # "xgan" shares the deep layers of both domains, and "xgan_published" is deeper, see
    # models/networks/halves.py; "gatys" learns nothing, see models/style_transfer.py.
    architecture: str = "cyclegan"
    channels: int = 64  # of the generator's first layer; doubled by each of two downsamplings
    blocks: int = 6  # residual blocks, half of them in the encoder
    embedding: int = 0  # length of the code vector; 0 keeps it a map, which blurs less
    # Or "nearest": no checkerboards, half again as slow; "bilinear": no plaid of long lines either.
    upsampling: str = "transposed"
    # Or "layer", which keeps the colours, or "adalin", a learned share of both (networks/norms.py).
    norm: str = "instance"
    attention: str = "none"  # at the bottleneck: "self" or "cam", see models/networks/attention.py
    antialias: bool = False  # blur before pixels are dropped and after they are added (Zhang, 2019)
    residual: bool = False  # cyclegan only: draw the change to the image, not a new one
    # Images that masked ones are restored of first, as a multiple of the budget: see
    # models/training/pretraining.py. 0: none.
    pretraining: float = 0.0
    discriminator_channels: int = 64
    discriminator_layers: int = 3
    discriminator_attention: str = "none"  # or "cam", see models/networks/translator.py
    # Learning rate of the discriminators as a multiple of the generators' (two time scales: Heusel
    # et al., 2017). Below 1 a short run paints shapes before it paints noise.
    discriminator_rate: float = 1.0
    discriminator_norm: str = "instance"  # or "spectral" (Miyato et al., 2018), or "none"
    discriminator_steps: int = 1  # to one of the generators (5 for a Wasserstein critic)
    diff_augment: Sequence[str] = ()  # what discriminators see: "colour", "translation", "cutout"
    adversarial_form: str = "lsgan"  # see models/losses/adversarial.py
    penalty: str = "none"  # on the discriminators' slopes, see models/losses/penalties.py
    penalty_weight: float = 10.0
    weight_clip: float = 0.0  # largest weight of a discriminator; 0: any (0.01 in the first WGAN)
    domain_form: str = "cross_entropy"  # or "least_squares": of the domain_adversarial loss
    losses: Mapping[str, float] = field(
        default_factory=lambda: {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
    )
    # Weights that losses fade to, linearly, by the end of the budget; others stay what they are.
    final_losses: Mapping[str, float] = field(default_factory=dict)
    # Attributes and their classes, as in {"hair": ["black", "blonde"]}, that translations are drawn
    # with and that discriminators judge by; empty: none. See models/data/conditioning.py.
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Augmentation of real images, on the device.
    flip: bool = True
    shift: float = 0.0  # largest shift, as a fraction of the side
    zoom: float = 0.0  # largest relative change of scale
    # σ of the noise on a translation before its way back: CycleGAN hides the source in high
    # frequencies (Chu et al., 2017), and noise drowns them.
    return_noise: float = 0.0
    # Of architecture gatys alone: how long each image is optimised, what the style counts beside
    # the content, and the network whose features both are measured in.
    style_steps: int = 60
    style_weight: float = 1.0
    style_features: str = "recognizer"  # or "vgg19", torchvision's, where it is on disk

    @property
    def shared(self) -> bool:
        """Whether both domains use the same deep layers."""
        return self.architecture in ("xgan", "xgan_published")

    @property
    def learns(self) -> bool:
        """Whether there are weights to train."""
        return self.architecture != "gatys"

    @property
    def asks_recognizer(self) -> bool:
        """Whether a loss needs a trained recognizer, or style transfer does."""
        if not self.learns:
            return self.style_features == "recognizer"
        return any(self.weight(loss) for loss in JUDGED)

    def weight(self, loss: str, progress: float = 0.0) -> float:
        """The weight of a loss at `progress` (0…1) of the budget; 0 where it is not named."""
        start = self.losses.get(loss, 0.0)
        return start + progress * (self.final_losses.get(loss, start) - start)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `variant_from_dict` reads back: the keys of the architecture."""
        plain = {key: dict(getattr(self, key)) for key in ("losses", "final_losses")}
        labels = {name: list(classes) for name, classes in self.labels.items()}
        lists = {"labels": labels, "diff_augment": list(self.diff_augment)}
        every = {**asdict(self), **plain, **lists}
        return {key: value for key, value in every.items() if _belongs(key, self.architecture)}


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
    "xgan_published": Variant(
        "xgan_published",
        architecture="xgan_published",
        channels=32,
        embedding=1024,
        norm="layer",
        losses=_XGAN,
    ),
    "gatys": Variant("gatys", architecture="gatys", losses={}),
}


def _belongs(key: str, architecture: str) -> bool:
    """Whether a variant of `architecture` has `key`."""
    return key in ("name", "architecture") or (architecture == "gatys") == (key in STYLE_KEYS)


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
    name, architecture = str(data["name"]), data.get("architecture", "cyclegan")
    if not re.fullmatch(NAME, name):  # it becomes part of paths
        raise ModelError(f"variant {name!r}: a name is a letter and up to 63 letters, digits, _, -")
    refuse_unknown("architecture", [architecture], CHOICES["architecture"])
    for key in data:
        if not _belongs(key, architecture):
            raise ModelError(
                f"variant {name}: `{key}` means nothing to architecture {architecture}: remove it"
                + (f" (it has {', '.join(STYLE_KEYS)})" if architecture == "gatys" else "")
            )
    blank = Variant(name) if architecture != "gatys" else Variant(name, losses={})
    variant = replace(blank, **data)
    _check(variant)
    return replace(
        variant,
        losses={k: float(v) for k, v in variant.losses.items()},
        final_losses={k: float(v) for k, v in variant.final_losses.items()},
        diff_augment=tuple(variant.diff_augment),
        labels={name: tuple(classes) for name, classes in variant.labels.items()},
    )


def refuse_unknown(
    what: str, names: Iterable[str], valid: Iterable[str], where: str = "unknown variant"
) -> None:
    """Raise ModelError for the first of `names` not in `valid`, with the nearest valid one."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.0)
            raise ModelError(
                f"{where} {what} {name!r}: did you mean {near[0]!r}? valid: {', '.join(valid)}"
            )


def _check(variant: Variant) -> None:
    """Raise ModelError where a value has the wrong type or lies out of range."""
    for key, words in CHOICES.items():
        refuse_unknown(key, [getattr(variant, key)], words)
    for key in ("losses", "final_losses"):
        if not isinstance(getattr(variant, key), Mapping):
            raise ModelError(f"variant {variant.name}: `{key}` must map names to weights")
        for loss, weight in getattr(variant, key).items():
            refuse_unknown("loss", [loss], LOSSES)
            _number(variant, f"{key}.{loss}", weight, 0)
    if isinstance(variant.diff_augment, str) or not isinstance(variant.diff_augment, Sequence):
        raise ModelError(f"variant {variant.name}: `diff_augment` must be a list")
    refuse_unknown("diff_augment", variant.diff_augment, DIFF_AUGMENTS)
    if not isinstance(variant.labels, Mapping) or not all(
        isinstance(classes, Sequence) and not isinstance(classes, str) and len(set(classes)) > 1
        for classes in variant.labels.values()
    ):
        raise ModelError(
            f"variant {variant.name}: `labels` must map attributes to lists of two or more classes"
        )
    for key in ("channels", "discriminator_channels", "discriminator_layers"):
        _number(variant, key, getattr(variant, key), 1, whole=True)
    _number(variant, "discriminator_steps", variant.discriminator_steps, 1, whole=True)
    _number(variant, "style_steps", variant.style_steps, 0, whole=True)
    _number(variant, "style_weight", variant.style_weight, 0)
    for key in ("blocks", "embedding"):
        _number(variant, key, getattr(variant, key), 0, whole=True)
    rates = ("discriminator_rate", "penalty_weight", "weight_clip", "shift", "zoom", "return_noise")
    for key in (*rates, "pretraining"):
        _number(variant, key, getattr(variant, key), 0)
    for key in ("flip", "residual", "antialias"):
        if not isinstance(getattr(variant, key), bool):
            raise ModelError(f"variant {variant.name}: `{key}` must be true or false")
    late = [loss for loss in variant.final_losses if not variant.weight(loss)]
    if late:
        raise ModelError(
            f"variant {variant.name}: `final_losses` fades {late[0]}, which `losses` does not weigh"
        )
    if variant.adversarial_form == "wasserstein" and not (
        variant.weight_clip or variant.penalty != "none"
    ):
        raise ModelError(
            f"variant {variant.name}: a wasserstein critic needs a bounded slope: "
            "set `penalty: gradient_penalty`, or `weight_clip: 0.01`"
        )
    on_codes = any(map(variant.weight, ("semantic_consistency", "domain_adversarial", "teacher")))
    if variant.residual and (variant.shared or variant.embedding or on_codes):
        raise ModelError(
            f"variant {variant.name}: `residual` puts the image into the code, so it needs "
            "architecture cyclegan, embedding 0 and no loss on codes"
        )
    if variant.architecture == "xgan_published" and not variant.embedding:
        raise ModelError(
            f"variant {variant.name}: the code of xgan_published is a vector: set `embedding: 1024`"
        )
    blocks = 0 if variant.architecture == "xgan_published" else variant.blocks
    if variant.norm == "adalin" and blocks < 2:
        raise ModelError(
            f"variant {variant.name}: `norm: adalin` is that of a decoder's residual blocks: "
            "set `blocks` to 2 or more, and architecture cyclegan or xgan"
        )
    if variant.weight("cam") and variant.attention != "cam":
        raise ModelError(
            f"variant {variant.name}: the loss `cam` is that of an attention: set `attention: cam`"
        )
    if variant.learns and not any(variant.losses.values()):
        raise ModelError(f"variant {variant.name}: every loss has weight 0, nothing to train")


def _number(variant: Variant, key: str, value: Any, least: float, whole: bool = False) -> None:
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not least <= value < math.inf:
        kind = "a whole number" if whole else "a number"
        raise ModelError(
            f"variant {variant.name}: `{key}` must be {kind} of at least {least}, got {value!r}"
        )

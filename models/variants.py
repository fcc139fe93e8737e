"""A variant is data: which parts the networks share, how large they are, which losses count."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.errors import ModelError
from models.knobs import DIFF_AUGMENTS, check_knobs, check_value, knob, refuse_unknown

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
    "colour",
    "attributes",
)
MOST_WEIGHT = 1e6  # of a loss
ASK_RECOGNIZER = ("perceptual", "teacher", "attributes")  # losses that ask a trained recognizer
NAME = "[A-Za-z][A-Za-z0-9_-]{0,63}"  # it becomes part of paths and commands
# The keys that decide what a translator computes, with given weights.
NETWORK_KEYS = (
    "architecture", "channels", "blocks", "embedding", "upsampling", "norm", "attention",
    "antialias", "residual", "labels",
)  # fmt: skip
STYLE_KEYS = ("style_steps", "style_weight", "style_features")  # of architecture gatys, and no more


@dataclass(frozen=True)
class Variant:
    """One row of an experiment table. Defaults are the published CycleGAN at ≤ 128 px."""

    name: str
    # "xgan" shares the deep layers of both domains, and "xgan_published" is deeper, see
    # models/networks/halves.py; "gatys" learns nothing, see models/style_transfer.py.
    architecture: str = knob("cyclegan", choices=("cyclegan", "xgan", "xgan_published", "gatys"))
    # Of the first layer; doubled by each of two downsamplings.
    channels: int = knob(64, "of the generator's first layer (on a CPU: 16)", least=1, most=512)
    blocks: int = knob(
        6, "residual blocks, half of them in the encoder (on a CPU: 3)", least=0, most=64
    )
    embedding: int = knob(
        0, "length of the code; 0 keeps it a map, which blurs less", least=0, most=65_536
    )
    # Or "nearest": no checkerboards, half again as slow; "bilinear": no plaid of long lines either.
    upsampling: str = knob("transposed", choices=("transposed", "nearest", "bilinear"))
    # Or "layer", which keeps the colours, or "adalin", a learned share of both (networks/norms.py).
    norm: str = knob("instance", choices=("instance", "layer", "adalin"))
    # At the bottleneck, see models/networks/attention.py.
    attention: str = knob("none", choices=("none", "cam", "self"))
    antialias: bool = knob(False, "blur before pixels are dropped, after they are added")
    residual: bool = knob(False, "of cyclegan: draw the change to the image, not a new one")
    # Images that masked ones are restored of first, as a multiple of the budget: see
    # models/training/pretraining.py. 0: none.
    pretraining: float = knob(0.0, least=0, most=100)
    # A trained model that both generators start from: its folder, or "shipped" for the one in
    # models/pretrained/. Sizes of images may differ: 128 px may start from 64.
    init: str = knob("", "folder of a trained model to start from, or shipped")
    # "projected" looks at frozen features of a public network: models/networks/projected.py.
    discriminator: str = knob("patch", choices=("patch", "projected"))
    discriminator_channels: int = knob(64, "of its first layer", least=1, most=512)
    discriminator_layers: int = knob(3, least=1, most=8)
    # See models/networks/discriminators.py.
    discriminator_attention: str = knob("none", choices=("none", "cam"))
    # Learning rate of the discriminators as a multiple of the generators' (two time scales: Heusel
    # et al., 2017). Below 1 a short run paints shapes before it paints noise.
    discriminator_rate: float = knob(1.0, least=0, most=100)
    # What discriminators see is blurred at first, less and less until this share of the budget:
    # coarse shapes come before fine ones, and no discriminator wins at once.
    discriminator_blur: float = knob(0.0, "share of the budget", least=0, most=1)
    # Or "spectral" (Miyato et al., 2018).
    discriminator_norm: str = knob("instance", choices=("instance", "spectral", "none"))
    discriminator_steps: int = knob(
        1, "to one of the generators (Wasserstein: 5)", least=1, most=100
    )
    diff_augment: Sequence[str] = ()  # what discriminators see, of `DIFF_AUGMENTS`
    # See models/losses/adversarial.py, and of the penalties on slopes models/losses/penalties.py.
    adversarial_form: str = knob(
        "lsgan", choices=("lsgan", "non_saturating", "hinge", "wasserstein")
    )
    penalty: str = knob("none", choices=("none", "r1", "zero_centred", "gradient_penalty"))
    penalty_weight: float = knob(10.0, least=0, most=MOST_WEIGHT)
    weight_clip: float = knob(
        0.0, "largest weight; 0: any (in the first WGAN 0.01)", least=0, most=100
    )
    # Of the loss domain_adversarial.
    domain_form: str = knob("cross_entropy", choices=("cross_entropy", "least_squares"))
    losses: Mapping[str, float] = field(
        default_factory=lambda: {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
    )
    # Weights that losses fade to, linearly, by the end of the budget; others stay what they are.
    final_losses: Mapping[str, float] = field(default_factory=dict)
    # Attributes and their classes, as in {"hair": ["black", "blonde"]}, that translations are drawn
    # with and that discriminators see; empty: none. See models/data/conditioning.py.
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Every photo in one light, at training and at use: models/data/light.py.
    match_light: bool = knob(False, "photos have one mean and deviation of lightness")
    # Drawn hair in the colour of its name, at use: models/networks/hair.py.
    match_hair: bool = knob(False, "drawn hair has the colour of its name, if labels tell names")
    # Augmentation of real images, on the device.
    flip: bool = knob(True)
    shift: float = knob(0.0, "largest shift, as a fraction of the side", least=0, most=1)
    zoom: float = knob(0.0, "largest relative change of scale", least=0, most=1)
    # σ of the noise on a translation before its way back: CycleGAN hides the source in high
    # frequencies (Chu et al., 2017), and noise drowns them.
    return_noise: float = knob(0.0, least=0, most=2)
    # Of architecture gatys alone: how long each image is optimised, what the style counts beside
    # the content, and the network whose features both are measured in: "vgg19" is torchvision's,
    # where it is on disk.
    style_steps: int = knob(60, least=0, most=100_000)
    style_weight: float = knob(1.0, least=0, most=MOST_WEIGHT)
    style_features: str = knob("recognizer", choices=("recognizer", "vgg19"))

    @property
    def shared(self) -> bool:
        """Whether both domains use the same deep layers."""
        return self.architecture in ("xgan", "xgan_published")

    @property
    def learns(self) -> bool:
        """Whether there are weights to train."""
        return self.architecture != "gatys"

    @property
    def learns_colours(self) -> bool:
        """Whether the colours of the domains, and of hair by its label, decide anything."""
        return bool(self.weight("colour")) or self.match_hair

    @property
    def asks_recognizer(self) -> bool:
        """Whether a loss needs a trained recognizer, or style transfer does."""
        if not self.learns:
            return self.style_features == "recognizer"
        return any(self.weight(loss) for loss in ASK_RECOGNIZER)

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
    refuse_unknown("key", data, known, "unknown variant")
    if "name" not in data:
        raise ModelError("a variant needs a name: add `name:`")
    name, architecture = str(data["name"]), data.get("architecture", "cyclegan")
    if not re.fullmatch(NAME, name):
        raise ModelError(f"variant {name!r}: a name is a letter and up to 63 letters, digits, _, -")
    refuse_unknown("architecture", [architecture], known["architecture"].metadata["choices"])
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


def _check(variant: Variant) -> None:
    """Raise ModelError where a value has the wrong type or lies out of range."""
    where = f"variant {variant.name}: "
    check_knobs(variant, where)
    for key in ("losses", "final_losses"):
        weights = getattr(variant, key)
        if not isinstance(weights, Mapping):
            raise ModelError(f"{where}`{key}` must map names to weights")
        refuse_unknown("loss", weights, LOSSES, f"{where}unknown")
        for loss, weight in weights.items():
            check_value(f"{key}.{loss}", weight, float, {"least": 0, "most": MOST_WEIGHT}, where)
    if isinstance(variant.diff_augment, str) or not isinstance(variant.diff_augment, Sequence):
        raise ModelError(f"{where}`diff_augment` must be a list")
    refuse_unknown("diff_augment", variant.diff_augment, DIFF_AUGMENTS, f"{where}unknown")
    if not isinstance(variant.labels, Mapping) or not all(
        isinstance(classes, list | tuple)
        and all(isinstance(name, str) for name in classes)
        and len(set(classes)) > 1
        for classes in variant.labels.values()
    ):
        raise ModelError(f"{where}`labels` must map attributes to lists of two or more words")
    if problem := _misfit(variant):
        raise ModelError(where + problem)


def _misfit(variant: Variant) -> str:
    """What does not go together, and what to do; empty where all does."""
    late = [loss for loss in variant.final_losses if not variant.weight(loss)]
    if late:
        return f"`final_losses` fades {late[0]}, which `losses` does not weigh"
    if variant.adversarial_form == "wasserstein" and not (
        variant.weight_clip or variant.penalty != "none"
    ):
        return (
            "a wasserstein critic needs a bounded slope: set `penalty: gradient_penalty`, "
            "or `weight_clip: 0.01`"
        )
    on_codes = any(map(variant.weight, ("semantic_consistency", "domain_adversarial", "teacher")))
    if variant.residual and (variant.shared or variant.embedding or on_codes):
        return (
            "`residual` puts the image into the code, so it needs architecture cyclegan, "
            "embedding 0 and no loss on codes"
        )
    if variant.init and variant.pretraining:
        return "`init` starts from a trained model, so there is nothing to pretrain: drop one"
    if variant.architecture == "xgan_published" and not variant.embedding:
        return "the code of xgan_published is a vector: set `embedding: 1024`"
    if variant.discriminator == "projected" and variant.discriminator_attention != "none":
        return "a projected discriminator has no attention: set `discriminator_attention: none`"
    if variant.discriminator == "projected" and variant.discriminator_channels % 8:
        return "a projected discriminator needs `discriminator_channels` in multiples of 8"
    blocks = 0 if variant.architecture == "xgan_published" else variant.blocks
    if variant.norm == "adalin" and blocks < 2:
        return (
            "`norm: adalin` is that of a decoder's residual blocks: set `blocks` to 2 or more, "
            "and architecture cyclegan or xgan"
        )
    if variant.weight("cam") and variant.attention != "cam":
        return "the loss `cam` is that of an attention: set `attention: cam`"
    if variant.learns and not any(variant.losses.values()):
        return "every loss has weight 0, nothing to train"
    return ""

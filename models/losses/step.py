"""The tensors that losses are built from, each made when it is first asked for, and once.

What no loss asks for is never made, so a loss of weight 0 costs no network pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from models.data.augment import diff_augment, fade_in
from models.data.colours import thumbnail
from models.domains import other
from models.losses import functions as losses
from models.networks.discriminators import Discriminator
from models.networks.hair import hair_shares, mean_colour
from models.networks.palette import counted
from models.networks.training_networks import TrainingNetworks
from models.networks.translator import code_vector
from models.recognizer.network import Recognizer
from models.variants import Variant

Made = TypeVar("Made")


def _once(make: Callable[[Step, str], Made]) -> Callable[[Step, str], Made]:
    """Remember what a method made for a domain, so that losses share network passes."""

    @functools.wraps(make)
    def cached(self: Step, domain: str) -> Made:
        key = (make.__name__, domain)
        if key not in self._made:
            self._made[key] = make(self, domain)
        return self._made[key]

    return cached


class Step:
    """The tensors of one step, or of one micro-batch of it.

    `real` maps a domain to float [N, 3, S, S], `labels` to float [N, width] where the variant has
    labels. Images come back float32, whatever precision the networks ran in.
    """

    def __init__(
        self,
        networks: TrainingNetworks,
        real: dict[str, Tensor],
        variant: Variant,
        progress: float,
        recognizer: Recognizer | None = None,
        labels: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.networks, self.real, self.variant, self.progress = networks, real, variant, progress
        self.recognizer, self.labels = recognizer, labels or {}
        self._made: dict[tuple[str, str], Any] = {}

    def draw(self, code: Tensor, domain: str, source: str) -> Tensor:
        """Decode in `domain` a code of the real images of `source`, with their labels."""
        labels = self.labels.get(source)
        return self.networks.translator.decode(code, domain, labels).float()

    @_once
    def encoded(self, domain: str) -> tuple[Tensor, Tensor | None]:
        """Code of the real images of `domain`, and the logits of the encoder's attention."""
        return self.networks.translator.encode_with_logits(self.real[domain], domain)

    def code(self, domain: str) -> Tensor:
        """Code of the real images of `domain`."""
        return self.encoded(domain)[0]

    @_once
    def fake(self, domain: str) -> Tensor:
        """Translations into `domain`."""
        return self.draw(self.code(other(domain)), domain, source=other(domain))

    def keep_fakes(self) -> None:
        """Drop all tensors that were made but the translations, without their graph."""
        fakes = {k: x.detach() for k, x in self._made.items() if k[0] == "fake"}
        self._made = fakes

    @_once
    def code_of_fake(self, domain: str) -> Tensor:
        """Code of the (slightly noisy) translations into `domain`."""
        fake, noise = self.fake(domain), self.variant.return_noise
        if noise:
            fake = fake + noise * torch.randn_like(fake)
        return self.networks.translator.encode(fake, domain)

    @_once
    def returned(self, domain: str) -> Tensor:
        """Real images of `domain` after the way there and back."""
        return self.draw(self.code_of_fake(other(domain)), domain, source=domain)

    @_once
    def encoded_as_other(self, domain: str) -> tuple[Tensor, Tensor | None]:
        """`encoded`, by the encoder of the other domain."""
        return self.networks.translator.encode_with_logits(self.real[domain], other(domain))

    @_once
    def same(self, domain: str) -> Tensor:
        """Real images of `domain` through the generator whose *target* is `domain`."""
        return self.draw(self.encoded_as_other(domain)[0], domain, source=domain)

    def cam_logits(self, domain: str) -> tuple[Tensor, Tensor]:
        """The attention's logits in the encoder of `domain`: for its own images, for the others."""
        own, others = self.encoded(domain)[1], self.encoded_as_other(other(domain))[1]
        assert own is not None and others is not None
        return own.float(), others.float()

    @_once
    def decoded(self, domain: str) -> Tensor:
        """Real images of `domain` through their own autoencoder."""
        return self.draw(self.code(domain), domain, source=domain)

    @_once
    def domain_logits(self, domain: str) -> Tensor:
        """The domain classifier's logits for real images, their gradient reversed on the way."""
        scale = losses.reversal_ramp(self.progress)
        classifier = self.networks.domain_classifier
        assert classifier is not None
        return classifier(losses.reverse_gradient(self.code(domain), scale)).float()

    def recognized(self, images: Tensor) -> list[Tensor]:
        """What the recognizer makes of `images`, at its three deeper depths: the first, edges and
        colours, is what a translation is to change."""
        assert self.recognizer is not None
        return [features.float() for features in self.recognizer.depths(images)[1:]]

    @_once
    def recognized_real(self, domain: str) -> list[Tensor]:
        """That of the real images of `domain`: what losses compare with, so without gradient."""
        with torch.no_grad():
            return self.recognized(self.real[domain])

    def read(self, images: Tensor) -> dict[str, Tensor]:
        """The recognizer's logits for `images`, of the heads it learned from both domains."""
        assert self.recognizer is not None
        return self.recognizer.read(images)

    @_once
    def read_real(self, domain: str) -> dict[str, Tensor]:
        """Those of the real images of `domain`: what losses compare with, so without gradient."""
        with torch.no_grad():
            return self.read(self.real[domain])

    def colours(self, domain: str) -> tuple[Tensor, Tensor]:
        """Of the translations into `domain`: what `losses.colour` compares."""
        return self._cells_and_hair(thumbnail(self.fake(domain)), other(domain))

    def wanted_colours(self, domain: str) -> tuple[Tensor, Tensor]:
        """The same as translations of the real images of `domain` are to have it."""
        palette = self.networks.palette
        assert palette is not None
        return self._cells_and_hair(palette.wanted(self.real[domain], domain), domain)

    def _cells_and_hair(self, cells: Tensor, source: str) -> tuple[Tensor, Tensor]:
        """Of thumbnails [N, 3, 8, 8], cells [N, 3, K] and the mean [N, 3, 1] where the real images
        of `source` have hair."""
        shares = hair_shares(thumbnail(self.real[source]))
        return counted(cells), mean_colour(cells, shares)[:, :, None]

    @_once
    def student(self, domain: str) -> Tensor:
        """Codes of the real images of `domain`, brought to the recognizer's features."""
        student = self.networks.student
        assert student is not None
        return student(code_vector(self.code(domain))).float()

    def discriminator(self, domain: str) -> Discriminator:
        """The discriminator of `domain`."""
        found = self.networks.discriminators[domain]
        assert isinstance(found, Discriminator)
        return found

    def verdicts(self, images: Tensor, domain: str, labels: Tensor | None = None) -> list[Tensor]:
        """What the discriminator of `domain` says of `images`, augmented on the way: patch scores
        and, where it has an attention, that one's logits."""
        sharp = fade_in(images, self.progress, self.variant.discriminator_blur)
        seen = diff_augment(sharp, self.variant.diff_augment)
        return [x.float() for x in self.discriminator(domain).verdicts(seen, labels)]

    def labels_of_fake(self, domain: str) -> list[Tensor]:
        """Labels of the translations into `domain`, their sources', as a list of one or none."""
        return [self.labels[other(domain)]] if self.labels else []

    def verdicts_of_fake(self, domain: str) -> list[Tensor]:
        """`verdicts` of the translations into `domain`."""
        return self.verdicts(self.fake(domain), domain, *self.labels_of_fake(domain))

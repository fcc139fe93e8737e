"""All networks of a training in one module."""

from __future__ import annotations

from torch import nn

from models.data.conditioning import width
from models.domains import DOMAINS
from models.errors import ModelError
from models.networks.discriminators import Discriminator, DomainClassifier, PatchDiscriminator
from models.networks.palette import Palette
from models.networks.projected import FrozenFeatures, ProjectedDiscriminator
from models.networks.translator import TranslationNetwork
from models.variants import Variant


class TrainingNetworks(nn.Module):
    """Everything that training updates: the translator and the networks that its losses ask.

    What no loss of the variant asks does not exist: `discriminators` is empty without the loss
    `adversarial`, `domain_classifier` is None without `domain_adversarial`. So is `student`, which
    brings a code to the `teacher_features` of a recognizer, without `teacher`, and `palette`, the
    domains' colours, without `colour` and `match_hair`.
    """

    def __init__(self, variant: Variant, image_size: int, teacher_features: int = 0) -> None:
        super().__init__()
        self.translator = TranslationNetwork(variant, image_size)
        self.discriminators = nn.ModuleDict(_discriminators(variant, image_size))
        code_channels = self.translator.code_channels
        self.domain_classifier = (
            DomainClassifier(code_channels) if variant.weight("domain_adversarial") else None
        )
        self.student = (
            nn.Linear(code_channels, teacher_features) if variant.weight("teacher") else None
        )
        self.palette = Palette() if variant.learns_colours else None

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the generator's objective updates. The reversed gradient of the domain classifier
        makes its adversarial game one minimisation, so its weights are here too."""
        return [
            weight
            for part in (self.translator, self.domain_classifier, self.student)
            if part is not None
            for weight in part.parameters()
        ]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What the discriminators' objective updates; empty without the loss `adversarial`."""
        return list(self.discriminators.parameters())


def _discriminators(variant: Variant, image_size: int) -> dict[str, Discriminator]:
    """One a domain where a loss asks it. Raises ModelError for images that are too small."""
    if not variant.weight("adversarial"):
        return {}
    channels, label_width = variant.discriminator_channels, width(variant.labels)
    if variant.discriminator == "projected":
        shared = FrozenFeatures()
        return {
            d: ProjectedDiscriminator(shared, image_size, channels, label_width) for d in DOMAINS
        }
    if image_size < 3 * 2**variant.discriminator_layers:
        raise ModelError(
            f"{image_size} px are too few for discriminator_layers "
            f"{variant.discriminator_layers}: lower it, or raise image_size"
        )
    return {
        d: PatchDiscriminator(
            channels,
            variant.discriminator_layers,
            variant.discriminator_norm,
            label_width,
            variant.antialias,
            variant.discriminator_attention,
        )
        for d in DOMAINS
    }

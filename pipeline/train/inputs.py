"""What a training is made of: a row of ``variants``, the splits, the recognizers."""

from __future__ import annotations

from pathlib import Path

from models.data.domain import Domain, load_domain
from models.domains import DOMAINS
from models.variants import Variant, variant_from_dict
from pipeline.core import params
from pipeline.core.paths import CHECKPOINTS

RECOGNIZER = CHECKPOINTS / "recognizer/training"  # asked by losses


def load_variant(name: str) -> Variant:
    """The row ``name`` of ``variants`` in params.yaml. Raises StageError when there is none."""
    return variant_from_dict(params.variant_row(name), name)


def load_data(splits: Path, split: str, image_size: int) -> tuple[Domain, Domain]:
    """Photos and anime faces of one split, uint8 [N, 3, image_size, image_size] each."""
    photos, anime = (load_domain(splits, split, name, image_size) for name in DOMAINS)
    return photos, anime

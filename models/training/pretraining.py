"""Pretraining: before generators learn to translate, they learn to fill in masked squares.

Torbunov et al., UVCGAN (2022), §3.2, after BERT: the images of both domains are restored, so that a
generator starts with an idea of what a face looks like on either side. UVCGAN pretrains one network
that both generators start from. Here they share layers in ways of their own, so both are trained,
each on both domains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from models.data.augment import to_float, to_uint8
from models.data.conditioning import label_indices, one_hot
from models.data.domain import Domain
from models.domains import DIRECTIONS, DOMAINS
from models.losses import functions as losses
from models.losses.micro import Context, tell
from models.networks.translator import TranslationNetwork
from models.runtime.device import autocast, deterministic, pick_device, pick_precision
from models.runtime.distributed import average, rank
from models.runtime.meter import Meter
from models.runtime.progress import Progress
from models.runtime.sampling import reseed
from models.training.batches import Batches
from models.training.optimizers import adam, update
from models.training.settings import TrainSettings, due, manner
from models.training.state import load_state, require_finite, run_key, save_state
from models.variants import Variant

SHARE, SQUARES = 0.4, 8  # how much is masked, and in how many squares to a side; as published
STREAM = 1 << 16  # of random numbers, plus the rank: above any process of the training itself
# The keys of a variant that shape what is pretrained, or what it is shown.
TRANSLATOR_KEYS = (
    "architecture",
    "channels",
    "blocks",
    "embedding",
    "upsampling",
    "norm",
    "attention",
    "antialias",
    "residual",
    "labels",
    "flip",
    "shift",
    "zoom",
)
SETTINGS_KEYS = ("batch_size", "image_size", "lr", "seed", "log_every")


@dataclass(frozen=True)
class Pretrained:
    """What is told of a pretraining; empty where there was none."""

    history: list[dict[str, float]]  # a log point each: images, masked_reconstruction
    seconds: float  # over all calls that took part in it


def pretraining_images(variant: Variant, settings: TrainSettings) -> int:
    """Images of each domain that the pretraining sees: whole batches."""
    wanted = int(variant.pretraining * settings.budget_images)
    return wanted // settings.batch_size * settings.batch_size


def pretraining_key(variant: Variant, settings: TrainSettings, batches: Batches) -> str:
    """Hash of all that decides the pretrained weights, and nothing else.

    Variants that differ in losses or discriminators share one pretraining.
    """
    plain = variant.to_dict()
    shape: dict[str, Any] = {key: plain[key] for key in TRANSLATOR_KEYS}
    shape["pretraining_images"] = pretraining_images(variant, settings)
    decisive = {key: getattr(settings, key) for key in SETTINGS_KEYS}
    decisive["precision"] = pick_precision(settings.precision, pick_device(settings.device))
    decisive |= manner(settings)
    return run_key(shape, decisive, *(batches.ids[d] for d in DOMAINS))


def mask_squares(images: Tensor) -> Tensor:
    """Float [N, 3, S, S] in [-1, 1] → the same with squares of S // 8 pixels set to 0, mid grey.

    Each square of the grid is masked with probability 0.4, by torch's RNG.
    """
    n, _, height, width = images.shape
    side = height // SQUARES
    count = -(-height // side)  # where the side does not divide, the last squares are cut
    masked = torch.rand(n, 1, count, count, device=images.device) < SHARE
    masked = masked.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return images.masked_fill(masked[:, :, :height, :width], 0)


def restoration_loss(
    translator: TranslationNetwork, real: dict[str, Tensor], labels: dict[str, Tensor]
) -> Tensor:
    """Mean `masked_reconstruction` of both generators on both domains, a 0-d tensor.

    `real` and `labels` are of `Batches.at`. What is known of a face helps to restore it.
    """
    images = torch.cat([real[d] for d in DOMAINS])
    known = torch.cat([labels[d] for d in DOMAINS]) if labels else None
    masked = mask_squares(images)
    restored = [translator.translate(masked, way, known).float() for way in DIRECTIONS]
    return torch.stack([losses.masked_reconstruction(x, images) for x in restored]).mean()


def restoration_losses(
    translator: TranslationNetwork,
    parts: list[tuple[dict[str, Tensor], dict[str, Tensor]]],
    told: dict[str, Tensor],
    cast: Context,
) -> Iterator[Tensor]:
    """`restoration_loss` on each of `Batches.parts`, as `micro.generator_losses`."""
    for real, labels in parts:
        with cast():
            loss = restoration_loss(translator, real, labels)
        tell(told, {"masked_reconstruction": loss}, len(parts))
        yield loss / len(parts)


def pretrain(
    translator: TranslationNetwork,
    variant: Variant,
    settings: TrainSettings,
    batches: Batches,
    state_dir: Path | str | None,
) -> Pretrained:
    """Train `translator` in place on `pretraining` · `budget_images` masked images of each domain.

    With `state_dir` it goes on from its saved state, bit for bit, and a finished one, of whatever
    variant, is only read. Raises ModelError when the loss is no longer finite.
    """
    batch, total = settings.batch_size, pretraining_images(variant, settings)
    if not total:
        return Pretrained([], 0.0)
    cast = partial(autocast, batches.device, pick_precision(settings.precision, batches.device))
    key = pretraining_key(variant, settings, batches)
    weights, orders, meter = list(translator.parameters()), batches.orders(STREAM), Meter()
    optimizer = adam(weights)
    history, seen, earlier = [], 0, 0.0
    saved = load_state(state_dir, key, batches.device) if state_dir else None
    if saved:
        translator.load_state_dict(saved["translator"])
        history, seen, earlier = saved["history"], saved["images_seen"], saved["seconds"]
        if seen >= total:
            return Pretrained(history, earlier)
        optimizer.load_state_dict(saved["optimizer"])
        meter.sums, meter.counts = saved["meter"]["sums"], saved["meter"]["counts"]

    started = time.monotonic()
    label = f"{variant.name}, pretraining"
    with (
        deterministic(settings.deterministic),
        Progress(total, label, "images", initial=seen, quiet=rank() > 0) as progress,
    ):
        while seen < total:
            reseed(settings.seed, STREAM + rank(), seen)
            terms: dict[str, Tensor] = {}
            restored = restoration_losses(translator, batches.parts(orders, seen), terms, cast)
            update(optimizer, restored, weights, settings.lr)
            average(list(terms.values()))
            seen += batch
            meter.add(terms)
            progress.update(seen)
            if due(settings.log_every, seen, batch, total):
                means = meter.means(seen)
                meter.reset()
                history.append({"images": seen, **means})
                progress.describe(f"masked_reconstruction {means['masked_reconstruction']:.3f}")
            if state_dir and due(settings.state_every, seen, batch, total):
                require_finite(translator, meter, seen)
                state = {
                    "translator": translator.state_dict(),
                    "history": history,
                    "images_seen": seen,
                    "seconds": earlier + time.monotonic() - started,
                }
                if seen < total:  # what is finished only needs its weights
                    state["optimizer"] = optimizer.state_dict()
                    state["meter"] = {"sums": meter.sums, "counts": meter.counts}
                if rank() == 0:
                    save_state(state_dir, key, state)
    return Pretrained(history, earlier + time.monotonic() - started)


@torch.no_grad()
def masked_sheet(
    translator: TranslationNetwork, variant: Variant, settings: TrainSettings, shown: list[Domain]
) -> Tensor:
    """N images of either domain (photos, anime) → one uint8 picture [3, H, W] of six rows of N.

    Rows: photos masked | restored by photos → anime | photos | the same of anime.
    """
    device = next(translator.parameters()).device
    reseed(settings.seed, STREAM, pretraining_images(variant, settings))
    rows: list[Tensor] = []
    for direction, domain in zip(DIRECTIONS, shown, strict=True):
        masked = mask_squares(to_float(domain.images.to(device)))
        indices = label_indices(domain.labels, variant.labels).to(device)
        known = one_hot(indices, variant.labels) if variant.labels else None
        restored = translator.translate(masked, direction, known)
        rows += [to_uint8(masked).cpu(), to_uint8(restored).cpu(), domain.images]
    return make_grid(torch.cat(rows), nrow=len(shown[0]), padding=2, pad_value=255)

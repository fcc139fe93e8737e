"""Pretraining: before generators learn to translate, they learn to fill in masked squares.

Torbunov et al., UVCGAN (2022), §3.2, after BERT: the images of both domains are restored, so that a
generator starts with an idea of what a face looks like on either side. UVCGAN pretrains one network
that both generators start from. Here they share layers in ways of their own, so both are trained,
each on both domains.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
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
from models.losses.objective import Context, Terms, Weights, add_share
from models.networks.translator import TranslationNetwork
from models.runtime.device import autocast, deterministic, pick_precision
from models.runtime.distributed import average, rank
from models.runtime.meter import Meter
from models.runtime.progress import Progress
from models.runtime.sampling import reseed
from models.training.batches import Batch, Batches
from models.training.keys import computed, run_key
from models.training.optimizers import adam, update
from models.training.settings import TrainSettings, due
from models.training.state import Pretrained, load_state, require_finite, save_state
from models.variants import NETWORK_KEYS, Variant

SHARE, SQUARES = 0.4, 8  # how much is masked, and in how many squares to a side; as published
STREAM = 1 << 16  # of random numbers, plus the rank: above any process of the training itself
# The keys of a variant that shape what is pretrained, or what it is shown.
TRANSLATOR_KEYS = (*NETWORK_KEYS, "flip", "shift", "zoom", "match_light", "match_hair")
SETTINGS_KEYS = ("batch_size", "image_size", "lr", "seed", "log_every")


def pretraining_images(variant: Variant, settings: TrainSettings) -> int:
    """Images of each domain that the pretraining sees: whole batches."""
    wanted = int(variant.pretraining * settings.budget_images)
    return wanted // settings.batch_size * settings.batch_size


def pretraining_key(variant: Variant, settings: TrainSettings, ids: Mapping[str, list[str]]) -> str:
    """Hash of all that decides the pretrained weights, and nothing else.

    `ids` are of `data_ids`. Variants that differ in losses or discriminators share one pretraining.
    """
    plain = variant.to_dict()
    shape: dict[str, Any] = {key: plain[key] for key in TRANSLATOR_KEYS}
    shape["pretraining_images"] = pretraining_images(variant, settings)
    decisive = {key: getattr(settings, key) for key in SETTINGS_KEYS}
    decisive |= computed(settings)
    return run_key(shape, decisive, *(ids[d] for d in DOMAINS))


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


def restoration_backward(
    translator: TranslationNetwork, parts: list[Batch], weights: Weights, cast: Context
) -> Terms:
    """Add the gradient of `restoration_loss` to `weights`, as `objective.generator_backward`."""
    told: Terms = {}
    for real, labels in parts:
        with cast():
            loss = restoration_loss(translator, real, labels)
        torch.autograd.backward(loss / len(parts), inputs=weights)
        add_share(told, {"masked_reconstruction": loss}, len(parts))
    return told


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
    key = pretraining_key(variant, settings, batches.ids)
    weights, orders, meter = list(translator.parameters()), batches.orders(STREAM), Meter()
    optimizer = adam(weights)
    history, seen, earlier = [], 0, 0.0
    if saved := load_state(state_dir, key, batches.device):
        translator.load_state_dict(saved["translator"])
        history, seen, earlier = saved["history"], saved["images_seen"], saved["seconds"]
        if seen >= total:
            return Pretrained(history, earlier)
        optimizer.load_state_dict(saved["optimizer"])
        meter.load_state_dict(saved["meter"])

    started = time.monotonic()
    label, quiet = f"{variant.name}, pretraining", rank() > 0
    with (
        deterministic(settings.deterministic),
        Progress(total, label, "images", seen, quiet) as progress,
    ):
        while seen < total:
            reseed(settings.seed, STREAM + rank(), seen)
            terms = restoration_backward(translator, batches.parts(orders, seen), weights, cast)
            update(optimizer, settings.lr)
            average(list(terms.values()))
            seen += batch
            meter.add(terms)
            progress.update(seen)
            if due(settings.log_every, seen, batch, total):
                means = meter.means(seen)
                meter.reset()
                history.append({"images": seen, **means})
                progress.describe(means)
            if state_dir and due(settings.state_every, seen, batch, total):
                require_finite(translator, meter, seen)
                spent = earlier + time.monotonic() - started
                state: dict[str, Any] = {"translator": translator.state_dict(), "history": history}
                state |= {"images_seen": seen, "budget": total, "seconds": spent}
                if seen < total:  # what is finished only needs its weights
                    state |= {"optimizer": optimizer.state_dict(), "meter": meter.state_dict()}
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

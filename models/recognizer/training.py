"""The recognizer: a small CNN that reads attributes (hair, eyes, smile …) off both domains.

Evaluation asks a recognizer whether a translation kept its source's attributes, and takes its
pooled features for KID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.augment import augment, to_float
from models.data.conditioning import UNKNOWN
from models.data.domain import Domain
from models.errors import ModelError
from models.knobs import check_knobs
from models.recognizer.network import Recognizer, check_structure
from models.recognizer.settings import RecognizerSettings
from models.runtime.device import autocast, pick_device, pick_precision
from models.runtime.meter import Meter
from models.runtime.progress import Progress
from models.runtime.sampling import Order, reseed
from models.runtime.weights import read_model, write_model

WEIGHTS, CONFIG = "recognizer.safetensors", "config.json"
LOG_ROWS = 10  # of the history
MASKED = -100  # the class index of a label that is not known


def class_indices(values: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Label strings → int64 [N]; `MASKED` for any value not in `classes`, such as "unknown"."""
    index = {name: i for i, name in enumerate(classes)}
    return torch.tensor([index.get(value, MASKED) for value in values], dtype=torch.int64)


def balanced_weights(targets: Tensor, classes: int) -> Tensor:
    """wₖ = n / (K · nₖ) over the known labels, 0 for a class that never occurs: float32 [classes].

    King & Zeng (2001), as scikit-learn's "balanced": every class counts the same in sum.
    """
    counts = torch.bincount(targets[targets != MASKED], minlength=classes).float()
    present = (counts > 0).sum()
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0.0)


def masked_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Σ w_y · (−log softmax(z)_y) / Σ w_y over the known targets; 0 when none is known.

    `logits` [N, K], `targets` int64 [N] with `MASKED` for unknown, `weights` float [K].
    """
    known = targets != MASKED
    weight = weights[targets.clamp(min=0)] * known
    loss = F.cross_entropy(logits, targets, reduction="none", ignore_index=MASKED)
    return (weight * loss).sum() / weight.sum().clamp(min=1e-8)


def _targets(domains: Sequence[Domain], heads: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Class indices of every image for every head; a domain without the column is masked."""
    targets = {}
    for name, classes in heads.items():
        parts = []
        for domain in domains:
            known = name in domain.labels
            values = list(domain.labels[name]) if known else [UNKNOWN] * len(domain)
            parts.append(class_indices(values, classes))
        targets[name] = torch.cat(parts)
        if (targets[name] == MASKED).all():
            raise ModelError(
                f"no image has a label for head {name!r} ({', '.join(classes)}): "
                "drop the head or check the split's columns"
            )
    return targets


def _tells(domain: Domain, head: str, classes: Sequence[str]) -> bool:
    """Whether the images of `domain` know at least two classes of `head`."""
    return head in domain.labels and len(set(domain.labels[head]) & set(classes)) > 1


def train_recognizer(
    domains: Sequence[Domain],
    heads: Mapping[str, Sequence[str]],
    settings: RecognizerSettings | None = None,
    seed: int = 0,
) -> tuple[Recognizer, pd.DataFrame]:
    """Train one recognizer on the images of all `domains` together.

    A label that is "unknown", or not among its head's classes, costs nothing; classes weigh the
    same however rare. Same arguments, same machine, same threads: same weights.

    Returns:
        The model in eval mode, and at most ten rows of images, lr and each head's mean loss since
        the row before.

    Raises:
        ModelError: when a head has no label at all, when the domains differ in size or hold less
            than a batch, and when a loss is no longer finite.
    """
    settings = settings or RecognizerSettings()
    batch, image_size = settings.batch_size, _check(domains, settings)
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    targets = {name: t.to(device) for name, t in _targets(domains, heads).items()}
    weights = {name: balanced_weights(t, len(heads[name])) for name, t in targets.items()}
    images = torch.cat([domain.images for domain in domains]).to(device)

    torch.manual_seed(seed)
    model = Recognizer(heads, settings.channels, image_size)
    model.shared = [name for name in heads if all(_tells(d, name, heads[name]) for d in domains)]
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = -(-settings.images // batch)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=steps + 1)
    order, meter, history = Order(len(images), seed, 0), Meter(), []

    model.train()
    with Progress(steps * batch, "recognizer", "images") as progress:
        for step in range(steps):
            reseed(seed, 0, step * batch)
            rows = order.rows(step * batch, batch).to(device)
            x = augment(to_float(images[rows]), flip=True, shift=0.05, zoom=0.05)
            with autocast(device, precision):
                logits = model(x.contiguous(memory_format=torch.channels_last))
            terms = {
                name: masked_cross_entropy(logits[name], targets[name][rows], weights[name])
                for name in heads
            }
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()
            schedule.step()
            meter.add(terms)
            seen = (step + 1) * batch
            progress.update(seen)
            if (step + 1) * LOG_ROWS // steps > step * LOG_ROWS // steps:
                means = meter.means(seen)
                meter.reset()
                history.append({"images": seen, "lr": schedule.get_last_lr()[0], **means})
                progress.describe(means)
    return model.eval(), pd.DataFrame(history)


def _check(domains: Sequence[Domain], settings: RecognizerSettings) -> int:
    """The one side of all images, in pixels. Raises ModelError where training cannot begin."""
    check_knobs(settings)
    sizes = {domain.image_size for domain in domains}
    if len(sizes) != 1:
        raise ModelError(f"all domains must have one image size, got {sorted(sizes)} px")
    images, batch = sum(map(len, domains)), settings.batch_size
    if images < batch:
        raise ModelError(f"{images} images are fewer than a batch of {batch}: lower batch_size")
    return sizes.pop()


def accuracy(model: Recognizer, domain: Domain) -> dict[str, dict[str, float]]:
    """For each head with known labels: `accuracy`, `balanced` (mean recall of the classes that
    occur), `chance` (1 over their number, what guessing gives `balanced`) and `images`, the number
    of known labels. Fractions in 0…1."""
    predicted = {name: p.argmax(1) for name, p in model.predict(domain.images).items()}
    scores = {}
    for name, classes in model.heads.items():
        if name not in domain.labels:
            continue
        target = class_indices(list(domain.labels[name]), classes)
        known = target != MASKED
        if not known.any():
            continue
        right, target = (predicted[name] == target)[known].float(), target[known]
        recalls = [right[target == k].mean() for k in target.unique()]
        scores[name] = {
            "accuracy": right.mean().item(),
            "balanced": torch.stack(recalls).mean().item(),
            "chance": 1 / len(recalls),
            "images": int(known.sum()),
        }
    return scores


def save_recognizer(dir: Path | str, model: Recognizer) -> None:
    """Write `recognizer.safetensors` and `config.json` into `dir`; same model, same bytes."""
    dir = Path(dir)
    names = ("heads", "channels", "image_size", "temperatures", "shared")
    config = {name: getattr(model, name) for name in names}
    write_model(dir / WEIGHTS, dir / CONFIG, model.state_dict(), config)


def load_recognizer(dir: Path | str, device: str = "auto") -> Recognizer:
    """Read what `save_recognizer` wrote, in eval mode. ModelError when absent or broken."""
    dir = Path(dir)
    weights, config = read_model(dir / WEIGHTS, dir / CONFIG)
    try:
        check_structure(config)
        model = Recognizer(config["heads"], config["channels"], config["image_size"])
        model.temperatures.update(config.get("temperatures", {}))  # none: never calibrated
        model.shared = [name for name in config.get("shared", model.heads) if name in model.heads]
        model.load_state_dict(weights)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{dir / WEIGHTS} does not fit {CONFIG} beside it: train again") from error
    model.to(pick_device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval()

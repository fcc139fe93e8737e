"""The training engine: one loop for every variant, counted in image pairs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from models.checkpoint import Translator, start_from
from models.data.domain import Domain, StreamedDomain
from models.domains import DOMAINS
from models.errors import ModelError
from models.losses.objective import (
    Context,
    Terms,
    discriminator_backward,
    generator_backward,
    pooled_fakes,
)
from models.losses.penalties import clip_weights
from models.losses.pool import ImagePool
from models.losses.step import Step
from models.networks.training_networks import TrainingNetworks
from models.recognizer.network import Recognizer
from models.runtime.device import autocast, deterministic, pick_device, pick_precision
from models.runtime.distributed import average, rank, world_size
from models.runtime.progress import Progress
from models.runtime.sampling import Order, reseed
from models.style_transfer import StyleTransfer, style_report, trained_features
from models.training.batches import Batches
from models.training.callback import Callback
from models.training.compiling import begin_step, compile_networks, eagerly
from models.training.keys import check, training_key
from models.training.optimizers import EMA, adam, update
from models.training.pretraining import masked_sheet, pretrain
from models.training.report import Features, Report
from models.training.settings import TrainSettings, due, learning_rate
from models.training.state import Pretrained, TrainingState, load_state, require_finite, save_state
from models.variants import ASK_RECOGNIZER, Variant

COST_STEPS = 3  # timed before a run on the CPU says how long it will take


@dataclass(frozen=True)
class TrainResult:
    """`history` has one row a log point: images, lr, mean of every loss since the row before."""

    translator: Translator  # averaged (EMA) weights
    history: pd.DataFrame
    images_seen: int
    seconds: float  # of this call, without pretraining
    resumed_from: int  # images; 0 for a fresh run
    key: str
    held_out: pd.DataFrame  # at 0 and every `evaluate_every` images: images and `HeldOut.measure`
    # Of the pretraining, if any: a row a log point, and all its seconds, whichever call spent them.
    pretraining: pd.DataFrame = field(default_factory=pd.DataFrame)
    pretraining_seconds: float = 0.0


def train(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    held_out: tuple[Domain, Domain],
    state_dir: Path | str | None = None,
    callback: Callback | None = None,
    recognizer: Recognizer | None = None,
    features: Features | None = None,
) -> TrainResult:
    """Train `variant` until it has seen `budget_images` pairs.

    Args:
        held_out: photos and anime faces that are drawn and measured; they change no weight.
        state_dir: where the state is saved. The same call goes on from it, on a CPU with as many
            threads bit for bit. Delete it (`clear_state`) when the result is written.
        recognizer: what losses ask. It is not changed.
        features: where the KID of held-out images is measured; without, it is not.

    Raises:
        ModelError: for settings or data that cannot be used; when a loss is no longer finite.
    """
    check(settings, photos, anime)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = pick_device(settings.device)
    recognizer = frozen(variant, recognizer, device)
    key = training_key(variant, settings, photos, anime, recognizer)
    report = Report(settings, held_out, features, callback)
    if not variant.learns:
        return fit_style(variant, settings, photos, anime, recognizer, report, key)

    batches = Batches(variant, settings, photos, anime, device)
    batch, budget = settings.batch_size, settings.budget_images
    networks = new_networks(variant, settings, recognizer, device)
    if networks.palette:
        networks.palette.fit({"photos": photos, "anime": anime}, variant)
        if networks.translator.hair:
            networks.translator.hair.take(*map(networks.palette.hair_of, DOMAINS))
    cast = partial(autocast, device, pick_precision(settings.precision, device))
    steps_at = partial(micro_batches, batches, batches.orders(), networks, recognizer)
    run = begin(networks, batches, report, state_dir, key)
    seen = resumed_from = run.images_seen
    translator = Translator(run.ema.network, variant, settings.image_size)
    if not seen:
        run.held_out += report.held_out(seen, translator)
    generator, discriminator = networks.generator_parameters(), networks.discriminator_parameters()
    compiled = settings.compile and compile_networks(
        networks, device, lambda: trial(steps_at(0), networks, cast)
    )

    started = time.monotonic()
    with (
        deterministic(settings.deterministic),
        Progress(budget, variant.name, "images", seen, quiet=not report.first) as progress,
    ):
        while seen < budget:
            begin_step(compiled)
            lr, steps = learning_rate(settings, seen), steps_at(seen)
            terms: Terms = {}
            if (seen // batch + 1) % variant.discriminator_steps == 0:
                terms |= generator_backward(steps, generator, cast)
                update(run.optimizers["generator"], lr)
            if discriminator:
                fakes, eager = pooled_fakes(steps, run.pools, cast), eagerly(compiled)
                terms |= discriminator_backward(steps, fakes, discriminator, cast, eager)
                update(run.optimizers["discriminator"], lr * variant.discriminator_rate)
                if variant.weight_clip:
                    clip_weights(discriminator, variant.weight_clip)
            average(list(terms.values()))
            run.images_seen = seen = seen + batch
            run.ema.update(networks.translator, seen, batch)
            run.meter.add(terms)
            progress.update(seen)

            if device.type == "cpu" and seen == resumed_from + COST_STEPS * batch:
                report.cost(variant.name, (budget - resumed_from) / progress.rate)
            if due(settings.log_every, seen, batch, budget):
                means = run.meter.means(seen)  # the only sync with the host between log points
                run.meter.reset()
                run.history.append({"images": seen, "lr": lr, **means})
                progress.describe(means)
                report.callback.on_log(seen, {**means, "images_per_second": progress.rate})
            if due(settings.sample_every, seen, batch, budget):
                report.samples(seen, translator)
            if due(settings.evaluate_every, seen, batch, budget):
                run.held_out += report.held_out(seen, translator)
            if state_dir and due(settings.state_every, seen, batch, budget):
                require_finite(networks, run.meter, seen)  # NaNs never replace a good state
                save_state(state_dir, key, {**run.state_dict(), "budget": budget})

    return TrainResult(
        translator, pd.DataFrame(run.history), seen, time.monotonic() - started, resumed_from, key,
        pd.DataFrame(run.held_out), pd.DataFrame(run.pretrained.history), run.pretrained.seconds,
    )  # fmt: skip


def new_networks(
    variant: Variant,
    settings: TrainSettings,
    recognizer: Recognizer | None,
    device: torch.device,
) -> TrainingNetworks:
    """Networks with the initial weights of this seed, and of `init` where the variant has one."""
    torch.manual_seed(settings.seed)
    features = recognizer.feature_count if recognizer else 0
    networks = TrainingNetworks(variant, settings.image_size, features)
    if variant.init:
        start_from(variant.init, networks.translator, variant)
    return networks.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def begin(
    networks: TrainingNetworks,
    batches: Batches,
    report: Report,
    state_dir: Path | str | None,
    key: str,
) -> TrainingState:
    """The saved state of this run; without one that of a fresh run, pretrained where asked."""
    variant, settings, translator = batches.variant, batches.settings, networks.translator
    saved, pretrained = load_state(state_dir, key, batches.device), Pretrained([], 0.0)
    if not saved:
        pretrained = pretrain(translator, variant, settings, batches, state_dir)
        if pretrained.history:
            sheet = masked_sheet(translator, variant, settings, report.shown)
            report.callback.on_samples(0, sheet)
    optimizers: dict[str, torch.optim.Optimizer] = {
        "generator": adam(networks.generator_parameters())
    }
    if weights := networks.discriminator_parameters():
        optimizers["discriminator"] = adam(weights)
    pools = {d: ImagePool(-(-settings.pool_size // world_size())) for d in DOMAINS}
    ema = EMA(translator, settings.ema_half_life)
    run = TrainingState(networks, ema, optimizers, pools, pretrained)
    if saved:
        run.load_state_dict(saved)
    return run


def micro_batches(
    batches: Batches,
    orders: Mapping[str, Order],
    networks: TrainingNetworks,
    recognizer: Recognizer | None,
    seen: int,
) -> list[Step]:
    """This process's share of the batch after `seen` images."""
    variant, settings = batches.variant, batches.settings
    reseed(settings.seed, rank(), seen)
    parts, done = batches.parts(orders, seen), seen / settings.budget_images
    return [Step(networks, real, variant, done, recognizer, labels) for real, labels in parts]


def trial(steps: list[Step], networks: TrainingNetworks, cast: Context) -> None:
    """A step without an update, for a compiler to try itself on."""
    generator_backward(steps, networks.generator_parameters(), cast)
    if weights := networks.discriminator_parameters():
        fakes = pooled_fakes(steps, {d: ImagePool(0) for d in DOMAINS}, cast)
        discriminator_backward(steps, fakes, weights, cast, eagerly(True))
    networks.zero_grad(set_to_none=True)


def fit_style(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    recognizer: Recognizer | None,
    report: Report,
    key: str,
) -> TrainResult:
    """What `train` does for style transfer: one look at every image, whatever the budget."""
    started = time.monotonic()
    network = StyleTransfer(variant, trained_features(variant.style_features, recognizer))
    network.to(pick_device(settings.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.fit({"photos": photos, "anime": anime})
    translator = Translator(network, variant, settings.image_size)
    seen = max(len(photos), len(anime))
    means = style_report(network, {d: s.images for d, s in zip(DOMAINS, report.shown, strict=True)})
    report.callback.on_log(seen, means)
    report.samples(seen, translator)
    history = pd.DataFrame([{"images": seen, **means}])
    held_out = pd.DataFrame(report.held_out(seen, translator))
    return TrainResult(translator, history, seen, time.monotonic() - started, 0, key, held_out)


def frozen(
    variant: Variant, recognizer: Recognizer | None, device: torch.device
) -> Recognizer | None:
    """The recognizer that the variant's losses ask, frozen; None where they ask none.

    Raises ModelError where they ask one and there is none.
    """
    if not variant.asks_recognizer:
        return None
    if recognizer is None and not variant.learns:
        raise ModelError(
            f"variant {variant.name} needs a recognizer's features: train one first "
            "(dvc repro recognizer), or set style_features to vgg19"
        )
    if recognizer is None:
        raise ModelError(
            f"variant {variant.name} weighs a loss that asks a recognizer: train one first "
            f"(dvc repro recognizer), or set {' and '.join(ASK_RECOGNIZER)} to 0"
        )
    if variant.weight("attributes") and not recognizer.shared:
        raise ModelError(
            f"variant {variant.name} weighs attributes, and the recognizer has no head of "
            "which both domains know two classes: add one to recognizer.heads, or set it to 0"
        )
    return recognizer.to(device).eval().requires_grad_(False)

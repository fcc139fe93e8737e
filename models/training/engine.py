"""The training engine: one loop for every variant, counted in image pairs."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from models.checkpoint import Translator
from models.data.domain import Domain, StreamedDomain
from models.domains import DOMAINS
from models.errors import ModelError
from models.losses.micro import Context, discriminator_losses, generator_losses, pooled_fakes
from models.losses.objective import Step
from models.losses.penalties import clip_weights
from models.losses.pool import ImagePool
from models.metrics.held_out import HeldOut
from models.networks.translator import TrainingNetworks
from models.recognizer.network import Recognizer
from models.runtime.device import autocast, deterministic, pick_device, pick_precision
from models.runtime.distributed import average, gather, own, rank, world_size
from models.runtime.meter import Meter
from models.runtime.progress import Progress
from models.runtime.sampling import reseed
from models.style_transfer import StyleTransfer, style_report, trained_features
from models.training.batches import Batches
from models.training.callback import Callback, Silent
from models.training.compiling import begin_step, compile_networks, eagerly
from models.training.ema import EMA
from models.training.optimizers import adam, update
from models.training.pretraining import Pretrained, masked_sheet, pretrain
from models.training.settings import TrainSettings, check, due, learning_rate, training_key
from models.training.sheets import sample_sheet
from models.training.state import capture, load_state, require_finite, restore, save_state
from models.variants import Variant

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
    held_out: pd.DataFrame  # a row every `evaluate_every` images: images and `HeldOut.measure`
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
    judge: Recognizer | None = None,
) -> TrainResult:
    """Train `variant` until it has seen `budget_images` pairs.

    `held_out` (photos, anime) is only drawn on sample sheets and measured by `HeldOut`, whose KID
    asks `judge`; neither changes the weights. With `state_dir` the run saves its
    state every `state_every` images and continues from it when called again with the same
    arguments; on CPU with as many threads the weights are then those of an uninterrupted run,
    bit for bit. The caller deletes the state (`state.clear_state`) once the weights are
    safe; that of a pretraining is another file and stays for other variants. `recognizer` is what
    the losses `perceptual` and `teacher` ask; it is not changed. Raises ModelError on unusable
    settings or data, and when a loss is no longer finite.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    check(settings, photos, anime)
    recognizer = judge_of(variant, recognizer, device)
    key = training_key(variant, settings, photos, anime, recognizer)
    batch, budget, first = settings.batch_size, settings.budget_images, rank() == 0
    heard = callback is not None and first
    callback = callback if callback and first else Silent()
    shown = [d.take(range(min(settings.sample_count, len(d)))) for d in held_out]
    asked = judge.to(device).eval() if judge and first else None  # others never measure
    measured = HeldOut(held_out, (photos, anime), asked)
    if not variant.learns:
        return fit_style(variant, settings, photos, anime, shown, measured, callback, recognizer)

    batches = Batches(variant, settings, photos, anime, device)
    orders = batches.orders()

    torch.manual_seed(settings.seed)
    features = recognizer.feature_count if recognizer else 0
    networks = TrainingNetworks(variant, settings.image_size, features)
    networks.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    cast = partial(autocast, device, precision)

    def micro_steps(seen: int) -> list[Step]:
        """This process's share of the batch after `seen` images, in micro-batches."""
        reseed(settings.seed, rank(), seen)
        parts, done = batches.parts(orders, seen), seen / budget
        return [Step(networks, real, variant, done, recognizer, labels) for real, labels in parts]

    saved = load_state(state_dir, key, device) if state_dir else None
    if saved:
        pretrained = Pretrained(**saved["pretraining"])
    else:
        pretrained = pretrain(networks.translator, variant, settings, batches, state_dir)
        if pretrained.history:
            callback.on_samples(0, masked_sheet(networks.translator, variant, settings, shown))
    ema = EMA(networks.translator, settings.ema_half_life)
    translator = Translator(ema.network, variant, settings.image_size)
    generator_weights = networks.generator_parameters()
    discriminator_weights = list(networks.discriminators.parameters())
    optimizers = {"generator": adam(generator_weights)}
    if discriminator_weights:
        optimizers["discriminator"] = adam(discriminator_weights)
    pools = {d: ImagePool(-(-settings.pool_size // world_size())) for d in DOMAINS}
    meter, history, held_out_history = Meter(), [], []

    seen = resumed_from = 0
    if saved:
        saved["pools"] = own(saved["pools"])
        restore(saved, networks, ema, optimizers, pools, meter)
        history, held_out_history = saved["history"], saved["held_out"]
        seen = saved["images_seen"]
        resumed_from = seen
    compiled = settings.compile and compile_networks(
        networks, device, lambda: trial(micro_steps(0), networks, cast)
    )

    started = time.monotonic()
    with (
        deterministic(settings.deterministic),
        Progress(budget, variant.name, "images", initial=seen, quiet=not first) as progress,
    ):
        while seen < budget:
            begin_step(compiled)
            lr = learning_rate(settings, seen)
            steps = micro_steps(seen)
            terms: dict[str, Tensor] = {}

            # `inputs=` computes gradients for these weights alone, so the discriminators are
            # frozen without touching requires_grad (pytorch#139476).
            if (seen // batch + 1) % variant.discriminator_steps == 0:
                losses = generator_losses(steps, terms, cast)
                update(optimizers["generator"], losses, generator_weights, lr)

            if discriminator_weights:
                fakes = pooled_fakes(steps, pools, cast)
                losses = discriminator_losses(steps, fakes, terms, cast, eagerly(compiled))
                rate = lr * variant.discriminator_rate
                update(optimizers["discriminator"], losses, discriminator_weights, rate)
                if variant.weight_clip:
                    clip_weights(discriminator_weights, variant.weight_clip)

            average(list(terms.values()))
            seen += batch
            ema.update(networks.translator, seen, batch)
            meter.add(terms)
            progress.update(seen)
            if heard and device.type == "cpu" and seen == resumed_from + COST_STEPS * batch:
                tell_cost(variant.name, (budget - resumed_from) / progress.rate)

            if due(settings.log_every, seen, batch, budget):
                means = meter.means(seen)  # the only sync with the host between log points
                meter.reset()
                history.append({"images": seen, "lr": lr, **means})
                progress.describe(" ".join(f"{k} {v:.3f}" for k, v in means.items()))
                callback.on_log(seen, {**means, "images_per_second": progress.rate})
            if first and due(settings.sample_every, seen, batch, budget):
                callback.on_samples(seen, sample_sheet(translator, *shown))
            if first and due(settings.evaluate_every, seen, batch, budget):
                held_out_history.append(tell_held_out(measured, translator, seen, callback))
            if state_dir and due(settings.state_every, seen, batch, budget):
                require_finite(networks, meter, seen)  # a good state is never overwritten by NaNs
                state = capture(networks, ema, optimizers, pools, meter)
                state["pools"] = gather(state["pools"])
                state |= {"history": history, "held_out": held_out_history}
                state |= {"images_seen": seen, "pretraining": asdict(pretrained)}
                if first:
                    save_state(state_dir, key, state)

    return TrainResult(
        translator=translator,
        history=pd.DataFrame(history),
        images_seen=seen,
        seconds=time.monotonic() - started,
        resumed_from=resumed_from,
        key=key,
        held_out=pd.DataFrame(held_out_history),
        pretraining=pd.DataFrame(pretrained.history),
        pretraining_seconds=pretrained.seconds,
    )


def trial(steps: list[Step], networks: TrainingNetworks, cast: Context) -> None:
    """A step without an update, for a compiler to try itself on."""
    told: dict[str, Tensor] = {}
    for loss in generator_losses(steps, told, cast):
        torch.autograd.grad(loss, networks.generator_parameters(), allow_unused=True)
    if judges := list(networks.discriminators.parameters()):
        fakes = pooled_fakes(steps, {d: ImagePool(0) for d in DOMAINS}, cast)
        for loss in discriminator_losses(steps, fakes, told, cast, eagerly(True)):
            torch.autograd.grad(loss, judges, allow_unused=True)


def tell_held_out(
    measured: HeldOut, translator: Translator, seen: int, callback: Callback
) -> dict[str, float]:
    """A row of what was measured on held-out images, which the callback is told too."""
    values = measured.measure(translator)
    callback.on_held_out(seen, values)
    return {"images": seen, **values}


def tell_cost(name: str, seconds: float) -> None:
    """Say once what a run without a GPU will cost."""
    threads = torch.get_num_threads()
    print(
        f"{name}: no GPU, {threads} CPU threads: about {seconds / 60:.3g} minutes for this run",
        file=sys.stderr,
        flush=True,
    )


def fit_style(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    shown: list[Domain],
    measured: HeldOut,
    callback: Callback,
    recognizer: Recognizer | None,
) -> TrainResult:
    """What `train` does for style transfer: one look at every image, whatever the budget."""
    started = time.monotonic()
    network = StyleTransfer(variant, trained_features(variant.style_features, recognizer))
    network.to(pick_device(settings.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.fit({"photos": photos, "anime": anime})
    translator = Translator(network, variant, settings.image_size)
    seen = max(len(photos), len(anime))
    means = style_report(network, {d: s.images for d, s in zip(DOMAINS, shown, strict=True)})
    callback.on_log(seen, means)
    callback.on_samples(seen, sample_sheet(translator, shown[0], shown[1]))
    frame = pd.DataFrame([{"images": seen, **means}])
    held_out = pd.DataFrame([tell_held_out(measured, translator, seen, callback)])
    key = training_key(variant, settings, photos, anime, recognizer)
    return TrainResult(translator, frame, seen, time.monotonic() - started, 0, key, held_out)


def judge_of(
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
            "(dvc repro recognizer), or set perceptual and teacher to 0"
        )
    return recognizer.to(device).eval().requires_grad_(False)

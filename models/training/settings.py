"""How long and how to train: the settings of a run, its schedule and its key."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from models.data.domain import Domain, StreamedDomain, require_images
from models.errors import ModelError
from models.recognizer.network import Recognizer
from models.runtime.device import pick_device, pick_precision
from models.runtime.distributed import world_size
from models.training.state import run_key
from models.variants import Variant


@dataclass(frozen=True)
class TrainSettings:
    """How long and how to train. "Images" are pairs: one photo and one anime face each.

    Nothing scales by itself. When `batch_size` grows by κ:
    - `budget_images` stays, so there are κ times fewer steps; so do `decay_from`, `ema_half_life`
      and the four intervals, which count images or shares of the budget;
    - `lr` grows by √κ, the square root scaling rule for Adam (Malladi et al., 2022,
      arXiv:2205.10287). Its other half, 1 − β growing by κ, is left out: with CycleGAN's β₁ of 0.5
      it ends at κ = 2;
    - `pool_size` stays well above it, or discriminators see little of the past.
    `accumulate` and the number of processes change neither batch nor steps, so nothing else.
    """

    budget_images: int = 200_000
    batch_size: int = 16  # of a step, all processes and micro-batches together
    accumulate: int = 1  # micro-batches that a process splits its share of a batch into
    image_size: int = 64  # pixels
    lr: float = 2e-4
    decay_from: float = 0.5  # fraction of the budget after which lr falls linearly to 0
    ema_half_life: float = 10_000.0  # images
    pool_size: int = 50
    seed: int = 0
    log_every: int = 1_000  # images; 0 logs at the end only, and likewise below
    sample_every: int = 10_000
    evaluate_every: int = 10_000
    state_every: int = 5_000
    sample_count: int = 8  # held-out images of each domain on a sample sheet
    precision: str = "auto"  # bf16 where it is fast, else fp32
    device: str = "auto"
    threads: int = 0  # CPU threads; 0 leaves torch's choice
    deterministic: bool = False  # the same bits every time also on a GPU, but slower
    # torch.compile, with CUDA graphs on a GPU. Penalties stay eager.
    compile: bool = False

    @property
    def share(self) -> int:
        """Images of a batch that one process sees."""
        return self.batch_size // world_size()


def learning_rate(settings: TrainSettings, images_seen: int) -> float:
    """Constant, then linear to 0 at the end of the budget."""
    rest = 1 - images_seen / settings.budget_images
    return settings.lr * min(1.0, rest / max(1 - settings.decay_from, 1e-9))


def due(every: int, images_seen: int, batch: int, budget: int) -> bool:
    """Whether a multiple of `every` was passed by the last batch, or the run ended."""
    passed = every > 0 and images_seen // every > (images_seen - batch) // every
    return passed or images_seen >= budget


MANNERS = ("accumulate", "compile", "deterministic")


def manner(settings: TrainSettings) -> dict[str, int]:
    """How a batch is computed, where it is not at once, eagerly, in one process: by rounding and
    by what each process draws it changes the weights."""
    how = {"accumulate": settings.accumulate, "processes": world_size()}
    switches = {"compile": settings.compile, "deterministic": settings.deterministic}
    return {k: v for k, v in how.items() if v > 1} | {k: 1 for k, on in switches.items() if on}


def training_key(
    variant: Variant,
    settings: TrainSettings,
    photos: Domain | StreamedDomain,
    anime: Domain | StreamedDomain,
    recognizer: Recognizer | None = None,
) -> str:
    """The run's key: all that decides its weights and history, not where or how often it saves."""
    free = (
        "device", "threads", "state_every", "sample_every", "evaluate_every", "sample_count",
    )  # fmt: skip
    decisive = {k: v for k, v in asdict(settings).items() if k not in (*free, *MANNERS)}
    decisive |= manner(settings)
    decisive["precision"] = pick_precision(settings.precision, pick_device(settings.device))
    asked = [recognizer.fingerprint()] if variant.asks_recognizer and recognizer else []
    return run_key(variant.to_dict(), decisive, photos.ids, anime.ids, *([asked] if asked else []))


def check(
    settings: TrainSettings, photos: Domain | StreamedDomain, anime: Domain | StreamedDomain
) -> None:
    """Raise ModelError when the settings are out of range or do not fit the data."""
    for name in ("budget_images", "batch_size", "accumulate", "lr"):
        if not getattr(settings, name) > 0:
            raise ModelError(f"`{name}` must be above 0, got {getattr(settings, name)}")
    if not 0 <= settings.decay_from <= 1:
        raise ModelError(f"`decay_from` must lie in 0…1, got {settings.decay_from}")
    parts = world_size() * settings.accumulate
    if settings.batch_size % parts:
        raise ModelError(
            f"a batch of {settings.batch_size} cannot be split evenly among {world_size()} "
            f"processes × {settings.accumulate} micro-batches: make it a multiple of {parts}"
        )
    for what, domain in (("photos", photos), ("anime", anime)):
        require_images(domain, settings.batch_size, what)
        if domain.image_size != settings.image_size:
            raise ModelError(
                f"{what} are {domain.image_size} px, `image_size` is {settings.image_size}: "
                "load them with that image_size"
            )

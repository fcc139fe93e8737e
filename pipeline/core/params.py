"""The typed form of ``params.yaml``: one pydantic model per section, unknown keys refused.

A stage reads its own section, and those that stages share: ``web``, how politely sites are asked,
``exclude``, what was asked to be taken down, or ``align``, the template of photos and drawings.
``compute`` says where work runs, never what it gives, so no stage depends on it.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import Field, PrivateAttr, field_validator, model_validator

from crawl.names import nearest
from crawl.settings import CrawlSettings
from models.knobs import MOST_PIXELS
from models.metrics.sizes import MIN_IMAGES, MOST_IMAGES
from models.recognizer.settings import RecognizerSettings
from models.training.settings import TrainSettings
from pipeline.core import names, yaml_files
from pipeline.core.checks import VARIANTS, check
from pipeline.core.errors import StageError
from pipeline.core.exclude import Exclusions
from pipeline.core.sections import Count, Fraction, Section, Seed, Word, section_of

# See `pipeline.faces.detectors`.
DetectorName = Literal["animeface", "cascade", "joined", "annotated", "none"]
DaskAddress = Annotated[str, Field(pattern=r"^((tcp|tls)://.+:\d+)?$")]  # tcp://host:8786


def _crawls(section: str) -> Any:
    """The keys of the crawl's settings that stand in ``section``; all may be absent."""
    here = [f.name for f in fields(CrawlSettings) if f.metadata.get("section") == section]
    others = {f.name for f in fields(CrawlSettings)} - set(here)
    return section_of(CrawlSettings, leave_out=others, optional=here)


_WEB: Any = _crawls("web")
_CRAWL: Any = _crawls("crawl")


class Compute(Section):
    """Where work runs."""

    # Processes for the data stages; 0: one per core.
    workers: int = Field(default=0, ge=0, le=1_000_000)
    backend: Literal["loky", "threading", "dask"] = "loky"
    dask_scheduler: DaskAddress = ""  # empty: a cluster of ``workers`` on this machine
    device: str = "auto"  # auto, cpu, cuda, cuda:1 …
    threads: int = Field(default=0, ge=0, le=1024)  # of PyTorch on the CPU; 0: its own choice
    resident: bool | None = None  # training images in memory, or streamed; None: as they fit


class Demo(Section):
    """The embedded data: how many faces are drawn. 0 and 0 switch it off."""

    faces: int = Field(ge=0, le=1_000_000)
    photos: int = Field(ge=0, le=1_000_000)
    seed: Seed


class Web(_WEB):
    """How politely sites are asked, for pages and for images: keys of ``crawl.settings``."""


class Exclude(Section):
    """Take-downs: what is left out wherever it turns up. See ``pipeline.core.exclude``."""

    images: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    _exclusions: Exclusions | None = PrivateAttr(None)

    def exclusions(self) -> Exclusions:
        """What answers whether an image, or which rows of a table, are excluded; always the same
        object, which knows in the end what named something."""
        if self._exclusions is None:
            self._exclusions = Exclusions(self.images, self.tags)
        return self._exclusions


class Discover(Section):
    """What to look for. ``sources`` are dicts that ``crawl.sources`` checks."""

    inputs: Path  # folder of local files that sources read; DVC watches it
    sources: list[dict[str, Any]] = Field(min_length=1)

    @field_validator("sources")
    @classmethod
    def _named(cls, sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names.check("discover.sources:", [source["name"] for source in sources if "name" in source])
        return sources


class Crawl(_CRAWL):
    """What is accepted of what comes back: keys of ``crawl.settings``, and the shards' size."""

    shard_mb: int = Field(256, gt=0, le=4096)


class Align(Section):
    """The template both domains are aligned to: two eyes in a square of ``size`` pixels."""

    size: int = Field(ge=16, le=MOST_PIXELS)
    eye_distance: float = Field(gt=0.05, lt=0.6)  # between the eyes, as a fraction of the side
    eye_line: float = Field(gt=0.2, lt=0.8)  # height of the eyes, as a fraction of the side
    max_border: float = Fraction  # drop a face whose crop shows more mirrored border than this


class Faces(Section):
    """Finding anime faces."""

    detector: DetectorName | tuple[DetectorName, ...] = "animeface"
    votes: int = Field(1, ge=1, le=100)  # looks (detectors, angles of the cascade) that must agree
    cascade: str = ""  # OpenCV XML: a path, or a URL with its hash
    cascade_sha256: str = ""
    # Degrees a picture is turned by: tilted heads.
    cascade_angles: tuple[Annotated[float, Field(ge=-180, le=180)], ...] = (0.0,)
    annotations: str = ""  # CSV of boxes, or "whole": every picture is the crop of one face
    detect_size: int = Field(ge=64, le=8192)  # longest side of what is searched, pixels, at most
    enlarge: float = Field(
        1.0, ge=1.0, le=16
    )  # times that a smaller image is enlarged to get there
    pad: float = Field(0.0, ge=0.0, le=1.0)  # grey border added to detect, for tight crops
    min_likelihood: float = Fraction
    min_eye_distance: float = Field(ge=1, le=10_000)  # pixels in the original image
    min_sharpness: float = Field(ge=0, le=1e6)  # variance of the Laplacian of the aligned face
    max_tilt: float = Field(gt=0, le=180)  # degrees
    min_colour: float = Field(0.0, ge=0, le=200)  # mean chroma in CIE Lab; 0 keeps grey pictures

    @model_validator(mode="after")
    def _can_agree(self) -> Faces:
        kinds = set(self.detectors)
        looks = len(kinds - {"cascade"}) + len(set(self.cascade_angles)) * ("cascade" in kinds)
        if self.votes > looks:
            why = f"votes {self.votes} can never agree, there are {looks} looks"
            raise ValueError(f"{why}: add detectors or cascade_angles")
        return self

    @property
    def detectors(self) -> tuple[DetectorName, ...]:
        """``detector`` as a tuple."""
        return (self.detector,) if isinstance(self.detector, str) else self.detector


class Dedupe(Section):
    """Thresholds of the perceptual hash, in bits. See ``pipeline.dedupe``."""

    same_bits: int = Field(ge=0, le=256)
    unsure_bits: int = Field(ge=0, le=256)  # beyond same_bits and up to here the pixels decide
    same_correlation: float = Fraction
    variants: Literal["keep", "drop"] = "keep"
    variant_correlation: float = Fraction

    @model_validator(mode="after")
    def _in_order(self) -> Dedupe:
        if 0 < self.unsure_bits < self.same_bits:
            raise ValueError("unsure_bits is below same_bits: raise it, or set it to 0")
        return self


class Celeba(Section):
    """Which photos of CelebA are kept."""

    path: Path
    download: bool = False  # where ``path`` lacks it
    images: Literal["aligned", "wild", "folder"] = "aligned"  # folder: any images, unlabelled
    eyes: Annotated[str, Field(pattern=r"^(landmarks|template|mesh|none|.+\.onnx)$")] = "landmarks"
    also: str = ""  # a folder or zip in ``path`` of further photos, of which no label is known
    keep: dict[str, bool]  # CelebA attribute → value that a photo must have
    drop: dict[str, bool] = {}  # … and value that it must not have
    male_fraction: float | None = Field(None, ge=0.0, lt=1.0)  # of the kept; None: as they come
    limit: Count = 0  # 0: all
    seed: Seed = 1


class Split(Section):
    """Train, validation and test, as fractions of groups that may not be parted."""

    val: float = Field(gt=0, lt=0.5)
    test: float = Field(gt=0, lt=0.5)
    seed: Seed
    near_bits: int = Field(ge=0, le=256)
    max_per_domain: Count = 0  # 0: all


_Train: Any = section_of(
    TrainSettings,
    leave_out=("device", "threads", "sample_count"),
    optional=("accumulate", "seed", "precision", "compile", "deterministic"),
)
_Recognizer: Any = section_of(RecognizerSettings, leave_out=("precision", "device"))


class Recognizer(_Recognizer):
    """The attribute network: one for training losses, one, trained apart, for evaluation."""

    image_size: int = Field(ge=16, le=MOST_PIXELS)
    heads: dict[Word, Annotated[list[Word], Field(min_length=2)]] = Field(min_length=1)
    seed: Seed

    @field_validator("heads")
    @classmethod
    def _told_apart(cls, heads: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, classes in heads.items():
            if len(set(classes)) < len(classes):
                raise ValueError(f"head '{name}' has a class twice")
        return heads


class Train(_Train):
    """What all variants share, but for where it runs."""

    @model_validator(mode="after")
    def _takes_a_step(self) -> Train:
        if self.budget_images < self.batch_size:
            raise ValueError("budget_images is less than one batch: raise it")
        if self.batch_size % self.accumulate:
            raise ValueError("batch_size is no multiple of accumulate: change one of them")
        return self


class Evaluate(Section):
    """How the translations are measured."""

    max_images: int = Field(MOST_IMAGES, ge=MIN_IMAGES, le=1_000_000)  # of each split and domain
    bootstrap: int = Field(ge=10, le=10_000)  # draws behind each interval
    faces: int = Field(60, ge=8, le=1_000_000)  # images of each set in which faces are looked for
    further_features: tuple[Path, ...] = ()  # TorchScript files, see models/metrics/features.py
    seed: Seed
    sheet_rows: int = Field(gt=0, le=100)


class Compare(Section):
    """How variants are ranked."""

    direction: Literal["photos2anime", "anime2photos"] = "photos2anime"


_MODELS: tuple[type[Section], ...] = (
    Compute, Demo, Web, Exclude, Discover, Crawl, Align, Faces, Dedupe, Celeba, Split, Recognizer,
    Train, Evaluate, Compare,
)  # fmt: skip
SECTIONS = {model.__name__.lower(): model for model in _MODELS}
PATH = Path("params.yaml")
_ANEW = "`face2anime profile demo` writes it anew"

Model = TypeVar("Model", bound=Section)


def read_yaml(path: Path = PATH) -> dict[str, Any]:
    """All of ``path`` as plain dicts, checked. Raises StageError as `load` does."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Section]]:
    """All of ``path``, as plain dicts and as models."""
    try:
        content = yaml_files.read(path)
    except OSError as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"is unreadable ({error})"
        raise StageError(f"{path} {why}: {_ANEW}") from None
    if not content or not isinstance(content, dict):
        raise StageError(f"{path} holds no sections: {_ANEW}")
    return content, check(content, SECTIONS, str(path))


def load(model: type[Model], path: Path = PATH) -> Model:
    """The section of ``path`` that ``model`` describes.

    Raises StageError, naming file, section and key, on any mistake in any section.
    """
    section, (_, sections) = model.__name__.lower(), _read(path)
    if section not in sections:
        raise StageError(f"{path} has no section '{section}': copy it from profiles/demo.yaml")
    return cast(Model, sections[section])


def plain(*settings: Section) -> dict[str, Any]:
    """Sections as plain data under their names, as an MLflow run logs them."""
    return {type(section).__name__.lower(): section.model_dump(mode="json") for section in settings}


def load_variants(path: Path = PATH) -> dict[str, dict[str, Any]]:
    """The rows of ``variants``: name → what ``models.variants`` reads."""
    rows = read_yaml(path).get(VARIANTS)
    if not rows:
        raise StageError(f"{path} has no variants: copy that section from profiles/demo.yaml")
    return rows


def variant_row(name: str, path: Path = PATH) -> dict[str, Any]:
    """The row ``name`` of ``variants``. Raises StageError when there is none."""
    rows = load_variants(path)
    if name not in rows:
        raise StageError(f"{path} has no variant '{name}'{nearest(name, list(rows))}")
    return rows[name] or {}

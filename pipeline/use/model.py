"""Which trained translator a user means, and how its images were cut out."""

from __future__ import annotations

import csv
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domains import DIRECTIONS, DOMAINS
from models.errors import ModelError
from models.runtime.files import CONFIG, PRETRAINED, SHIPPED, WEIGHTS, read_config
from pipeline.core import names, params
from pipeline.core.errors import StageError
from pipeline.core.params import Align
from pipeline.core.paths import CHECKPOINTS, DRAWN, LEADERBOARD

if TYPE_CHECKING:  # torch takes seconds: it is imported when the first face is to be translated
    from models.checkpoint import Translator

CHAMPION = "champion"
DIRECTION = {"anime": "photos2anime", "photo": "anime2photos"}  # what faces become → for models
BACK = {"anime": "photo", "photo": "anime"}
# The template of a picture that is taken as it stands: what would be eyes has no meaning there.
MIDDLE = {"eye_distance": 0.5, "eye_line": 0.5}


def source_of(to: str) -> str:
    """The domain of what becomes ``to``: "photos" become "anime"."""
    return DIRECTIONS[DIRECTION[to]][0]


@dataclass(frozen=True)
class Model:
    """A folder with a trained translator."""

    name: str
    folder: Path
    align: Align  # the template, at the size of the model's images
    drawn: bool  # whether it learned from the demo's drawn faces
    digest: str  # of the weights
    whole: frozenset[str] = frozenset()  # domains whose pictures were taken as they stand

    def load(self, device: str = "auto") -> Translator:
        """The network on ``device``, as torch names it; "auto": a GPU where there is one.

        Raises ModelError for a broken file or another device.
        """
        from models.checkpoint import load_translator

        return load_translator(self.folder, device)

    def takes_whole(self, to: str) -> bool:
        """Whether what becomes ``to`` are whole pictures, in which no face is looked for."""
        return source_of(to) in self.whole

    def way(self, to: str) -> str:
        """A line for who expects that faces are looked for; empty where they are."""
        if not self.takes_whole(to):
            return ""
        return f"{self.name} takes the middle square: it learned from whole pictures, not faces"

    def template(self, to: str) -> Align:
        """Of what becomes ``to``; of whole pictures their middle square."""
        return self.align.model_copy(update=MIDDLE) if self.takes_whole(to) else self.align

    def warning(self, to: str) -> str:
        """A line for who wants its faces made ``to`` ("anime" or "photo"); mostly empty."""
        if not self.drawn or to != "anime":
            return ""
        return (
            f"{self.name} learned from the demo's drawn faces alone and knows no real photo: "
            "expect little (docs/data.md says how to train on photos)"
        )


def choose(name: str) -> tuple[Model, str]:
    """The model called ``name``, and a line to tell the user; mostly empty.

    Args:
        name: a folder; or the name of a variant in `checkpoints/`; or ``champion``, the winner of
            `compare`; or ``shipped``, the one that comes along, in whose absence it is the winner.

    Raises:
        StageError: there is no such model.
        ModelError: its files are broken.
    """
    if name == SHIPPED:
        if (PRETRAINED / CONFIG).is_file():
            return _open(SHIPPED, PRETRAINED), ""
        best = _champion("no model is shipped, and none was trained here: `dvc repro` trains one")
        return best, f"no model is shipped: using {best.folder}, the winner here"
    if name == CHAMPION:
        return _champion(f"{LEADERBOARD} names no winner: `dvc repro` trains and ranks"), ""
    for folder in (Path(name), CHECKPOINTS / name):
        if (folder / CONFIG).is_file():
            return _open(folder.name, folder), ""
    here = sorted(p.parent.name for p in CHECKPOINTS.glob(f"*/{CONFIG}"))
    raise StageError(
        f"model {name} is neither a folder with {CONFIG} and {WEIGHTS} nor a variant in "
        f"{CHECKPOINTS}{params.nearest(name, [*here, SHIPPED, CHAMPION])}"
    )


def known() -> dict[str, Model]:
    """The models here, by the names that `choose` takes; broken ones are passed over."""
    variants = sorted(path.parent.name for path in CHECKPOINTS.glob(f"*/{CONFIG}"))
    found = {}
    for name in (SHIPPED, CHAMPION, *variants):
        with suppress(StageError, ModelError):
            model, instead = choose(name)
            if not instead:
                found[name] = model
    return found


def _champion(otherwise: str) -> Model:
    """The first of the leaderboard, as `compare` ranked it."""
    try:
        with LEADERBOARD.open(encoding="utf-8", newline="") as file:
            winner = next(csv.DictReader(file))["variant"]
    except (OSError, StopIteration, KeyError, ValueError):
        raise StageError(otherwise) from None
    names.check(f"{LEADERBOARD}: variant", [winner])
    folder = CHECKPOINTS / winner
    if not (folder / CONFIG).is_file():
        raise StageError(f"{folder}, the winner, is not here: dvc repro train@{winner}")
    return _open(winner, folder)


def _open(name: str, folder: Path) -> Model:
    config = read_config(folder)
    try:
        weights = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        align = _template(config)
        drawn = config.get("data") == DRAWN
        whole = frozenset(config.get("whole", ()))
        if not whole <= set(DOMAINS):
            raise ValueError(whole)
    except OSError:
        raise ModelError(f"{folder / WEIGHTS} cannot be read: copy the folder again") from None
    except (AttributeError, KeyError, TypeError, ValueError):  # of which ValidationError is one
        raise ModelError(f"{folder / CONFIG} is broken: train again") from None
    return Model(name, folder, align, drawn, weights[:16], whole)


def _template(config: dict[str, Any]) -> Align:
    """The model's own; one that has none was trained with params.yaml as it is here."""
    size = config["image_size"]
    told = config["template"] if "template" in config else params.load(Align).model_dump()
    places = {key: told[key] for key in ("eye_distance", "eye_line")}
    return Align(size=size, max_border=1.0, **places)

"""How many planted copies of real faces `pipeline.dedupe` finds, and how many faces it loses.

Beside it imagededup's default rule (64-bit pHash, distance ≤ 10), computed with `imagehash`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.core import params, stage, tables
from pipeline.core.params import Dedupe
from pipeline.dedupe.deduplicate import dedupe
from tests.bench.markdown import markdown
from tests.pipeline.dedupe import marks
from tests.pipeline.dedupe.test_dedupe import REAL, drawn_faces, real_faces, row

FACES = 1500  # of each set
EVERY = 5  # faces to one that is copied, in every way
LIBRARY_BITS = 10  # of 64: imagededup's default


def _resized(rgb: np.ndarray, scale: float) -> np.ndarray:
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _cropped(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """3 % of width and of height go, from opposite sides in any proportion."""
    cut = 0.03 * len(rgb)
    y, x = rng.uniform(0, cut, 2)
    scale = (len(rgb) - cut) / len(rgb)
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, matrix, rgb.shape[1::-1], flags=flags)


def _shifted(rgb: np.ndarray, hue: int, brightness: float) -> np.ndarray:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(int)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 2] = np.clip(hsv[..., 2] * brightness, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def _watermarked(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half-transparent white letters over a third of the width, anywhere in the lower half."""
    side = len(rgb)
    written = rgb.copy()
    place = (int(rng.uniform(0, 0.6) * side), int(rng.uniform(0.55, 0.97) * side))
    cv2.putText(written, "sample", place, marks.FONT, side / 200, (255, 255, 255), 1, cv2.LINE_AA)
    return cv2.addWeighted(rgb, 0.5, written, 0.5, 0)


def _bordered(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A black or white border of 2 % of the side all around."""
    width = max(1, round(0.02 * len(rgb)))
    colour = int(rng.choice([0, 255]))
    framed = np.pad(rgb, ((width, width), (width, width), (0, 0)), constant_values=colour)
    return cv2.resize(framed, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
KINDS: dict[str, tuple[Change, float]] = {  # how to copy, and the share that shall be found
    "JPEG q40": (lambda rgb, rng: tables.decode(tables.encode_jpeg(rgb, 40)), 0.99),
    "resized to ½": (lambda rgb, rng: _resized(rgb, 0.5), 0.99),
    "resized to ¾": (lambda rgb, rng: _resized(rgb, 0.75), 0.99),
    "brightness ±15 %": (lambda rgb, rng: _shifted(rgb, 0, rng.choice([0.85, 1.15])), 0.99),
    "hue ±20°": (lambda rgb, rng: _shifted(rgb, int(rng.choice([-10, 10])), 1), 0.99),
    "mirror": (lambda rgb, rng: np.ascontiguousarray(rgb[:, ::-1]), 0.99),
    "crop 3 %": (_cropped, 0.95),
    "watermark": (_watermarked, 0.97),
    "border 2 %": (_bordered, 0.97),
    "border 2–8 %, any": (marks.framed, 0.97),
    "watermark, any": (marks.marked, 0.97),
}


RULES = ("face2anime", "imagededup's default rule")


def planted(faces: Sequence[np.ndarray]) -> pd.DataFrame:
    """The rows of a ``faces`` table: all originals, which are the best, and the copies."""
    rows = [row(rgb, number, eye_distance=50.0) for number, rgb in enumerate(faces)]
    for number in range(0, len(faces), EVERY):
        for index, (kind, (change, _)) in enumerate(KINDS.items()):
            rng = np.random.default_rng([5, number, index])
            rows.append(row(change(faces[number], rng), number, kind))
    return pd.DataFrame(rows)


def library_keeps(table: pd.DataFrame) -> pd.DataFrame:
    """What is left by 64-bit pHash ≤ 10: rows in order, each takes out its neighbours.

    As ``find_duplicates_to_remove`` of imagededup does with its defaults.
    """
    images = [Image.fromarray(tables.decode(image["bytes"])) for image in table["image"]]
    signs = np.array([imagehash.phash(image).hash.ravel() for image in images])
    signs = np.where(signs, np.float32(1), np.float32(-1))
    gone = np.zeros(len(table), bool)
    for number, sign in enumerate(signs):
        if not gone[number]:
            near = (64 - signs @ sign) / 2 <= LIBRARY_BITS
            near[number] = False
            gone |= near
    return table[~gone]


def recall_and_lost(table: pd.DataFrame, kept: pd.DataFrame) -> dict[str, float]:
    """Share of the copies of each kind that went, and of the faces of which nothing is left.

    A copy also counts as found when it stays and its original goes.
    """
    stays = kept.groupby("face")["kind"].agg(set)
    shares = {}
    for kind in KINDS:
        faces = table.loc[table["kind"] == kind, "face"]
        both = [{kind, "original"} <= stays.get(face, set()) for face in faces]
        shares[kind] = 1 - float(np.mean(both))
    shares["lost"] = 1 - kept["face"].nunique() / table["face"].nunique()
    return shares


def quality_table(settings: Dedupe, faces: int = FACES) -> pd.DataFrame:
    """A row a kind of copy, a column a set of faces and rule."""
    sets = {
        name: list(real_faces(path, faces)) for name, (path, _) in REAL.items() if path.exists()
    }
    columns: dict[str, dict[str, float]] = {}
    for name, originals in (sets or {"drawn anime": list(drawn_faces(faces))}).items():
        table = planted(originals)
        for rule, kept in zip(
            RULES,
            (dedupe(table, settings, stage.workers()).kept, library_keeps(table)),
            strict=True,
        ):
            columns[f"{name}: {rule}"] = recall_and_lost(table, kept)
    goals = {kind: f"≥ {goal}" for kind, (_, goal) in KINDS.items()} | {"lost": "≤ 0.002"}
    shown = pd.DataFrame(columns).map("{:.3f}".format).assign(goal=pd.Series(goals))
    return shown.reset_index(names="copy").replace({"lost": "distinct faces lost"})


def quality_section() -> str:
    """What the report says of finding copies, less its heading."""
    settings = params.load(Dedupe)
    return f"""Share of planted copies found, among {FACES:,} faces of each set of which every
{EVERY}th is copied in every way. Faces lost are those of which nothing is left; real sets have true
copies already (about 2 % of the anime, 0.2 % of the photos), which count as lost here.
imagededup's default rule, 64-bit pHash ≤ {LIBRARY_BITS}, is computed with `imagehash`.

{markdown(quality_table(settings))}
"""


if __name__ == "__main__":
    print(quality_section())

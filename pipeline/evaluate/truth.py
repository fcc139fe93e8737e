"""What the demo's faces really look like, for images whose labels are wrong or missing.

Real data has no such table; then there is simply no truth to compare with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from models.data.domain import Domain
from pipeline.core import tables
from pipeline.core.paths import ANIME, PHOTOS, TRUTH

FACES = {"photos": PHOTOS, "anime": ANIME}


def read_truth(truth: Path = TRUTH, faces: dict[str, Path] = FACES) -> dict[str, pd.DataFrame]:
    """Domain → true labels (hair, eyes, smile and so on; strings) by image id; {} if no demo.

    Photos are found by file name, anime faces by source, post and place on the page.
    """
    if not truth.is_file():
        return {}
    table = tables.read_frame(truth)
    found = {}
    for domain, folder in faces.items():
        drawn = table[table["domain"] == domain]
        if len(drawn):
            match = _match_photos if domain == "photos" else _match_anime
            rows = match(folder, drawn).drop_duplicates("id").set_index("id")
            found[domain] = pd.DataFrame(
                {
                    "hair": rows["hair_colour"],
                    "eyes": rows["eye_colour"],
                    "smile": (rows["smile"] >= 0.5).map({True: "yes", False: "no"}),
                    "glasses": rows["glasses"].astype(bool).map({True: "yes", False: "no"}),
                    "gender": rows["gender"],
                }
            )
    return found


def with_truth(domain: Domain, truth: pd.DataFrame) -> Domain:
    """``domain``'s images that the truth knows, true labels in place of tags."""
    rows = [i for i, name in enumerate(domain.ids) if name in truth.index]
    known = domain.take(rows)
    return replace(known, labels=truth.loc[known.ids].reset_index(drop=True))


def _match_photos(folder: Path, drawn: pd.DataFrame) -> pd.DataFrame:
    kept = tables.read_frame(folder, columns=["id", "file"])
    return kept.merge(drawn, left_on="file", right_on="post_id")


def _match_anime(folder: Path, drawn: pd.DataFrame) -> pd.DataFrame:
    """The drawn face of the same post whose left eye is nearest to the left eye found.

    A find that is further off than the drawn eyes are apart is no face: it has no truth.
    """
    columns = ["id", "source", "post_id", "left_x", "left_y"]
    pairs = tables.read_frame(folder, columns=columns).merge(drawn, on=["source", "post_id"])
    dx, dy = pairs["left_x"] - pairs["left_eye_x"], pairs["left_y"] - pairs["left_eye_y"]
    pairs = pairs.assign(off=np.hypot(dx, dy))
    near = pairs[pairs["off"] < pairs["right_eye_x"] - pairs["left_eye_x"]]
    return near.sort_values("off", kind="stable").drop_duplicates("id")

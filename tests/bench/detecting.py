"""``python -m tests.bench.detecting``: who finds the faces of illustrations labelled by hand.

The table of docs/data.md, "Faces in drawings". It takes some minutes, and the pictures that the
tests of detectors take.
"""

from __future__ import annotations

import hashlib
from zipfile import ZipFile

import numpy as np
import pandas as pd

from pipeline.core.params import Faces
from pipeline.faces import candidates, detectors
from pipeline.imaging.images import read_rgb
from tests.bench.markdown import markdown
from tests.pipeline.faces.test_detectors import LABELS, SETTINGS, SHARED, changed, labels, score

MORE = LABELS.with_name("illustration_faces_more.csv")
ARCHIVE = SHARED / "anime" / "illustrations.zip"
TUNED = 50  # pictures, by the md5 of their names, on which the thresholds of `joined` were chosen
Candidates = list[candidates.Candidate]
WAYS = {
    "animeface, 640 px": SETTINGS,
    "animeface, 960 px": changed(detect_size=960),
    "joined, 960 px": changed(detector="joined", detect_size=960),
}


def found(rgb: np.ndarray, settings: Faces) -> tuple[Candidates, Candidates]:
    """Faces with eyes, and all that are found."""
    seen = detectors.find(rgb, {}, settings)
    with_eyes = [candidates.of_animeface(face) for face in seen.faces]
    return with_eyes, with_eyes + seen.no_eyes


def main() -> None:
    """Print the table."""
    every = labels(LABELS, MORE)
    names = sorted(every, key=lambda name: hashlib.md5(name.encode()).hexdigest())
    sets = {"all": names, "held out": names[TUNED:]}
    rows = []
    with ZipFile(ARCHIVE) as archive:
        read = archive.read
        pictures = {name: read_rgb(read(f"illustrations/{name}")) for name in names}
    for way, settings in WAYS.items():
        results = {name: found(rgb, settings) for name, rgb in pictures.items()}
        for number, kind in enumerate(("with eyes", "found")):
            row: dict[str, str] = {"": f"{way}, {kind}"}
            for title, chosen in sets.items():
                precision, recall = score(
                    {name: results[name][number] for name in chosen},
                    {name: every[name] for name in chosen},
                )
                f1 = 2 * precision * recall / (precision + recall)
                row[title] = f"P {precision:.2f} R {recall:.2f} F1 {f1:.2f}"
            rows.append(row)
    print(markdown(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()

"""Demo data whose truth is known: drawn faces in two styles, in the layouts that real data has."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.core import tables
from pipeline.demo.celeba import build_celeba
from pipeline.demo.gallery import build_gallery

_OFF = "The demo's {what} is switched off: demo.{key} is 0 in params.yaml.\n"


def build_demo(out: Path, *, faces: int, photos: int, seed: int, workers: int) -> dict[str, float]:
    """Draw the demo into `out` and return counts.

    Writes `out/gallery/` (see `gallery.build_gallery`), `out/celeba/` (see
    `celeba.build_celeba`), `out/truth.parquet` (a row a drawn face, both domains, column `domain`
    "anime" or "photos"; `source` is "celeba" for photos) and `out/truth_posts.parquet` (a row a
    gallery post). With `faces` or `photos` 0 that folder holds a README only, and the truth
    tables are left out when both are 0. The same arguments give the same bytes for any `workers`.
    """
    counts: dict[str, float] = {}
    truths: list[pd.DataFrame] = []
    if faces:
        anime, posts = build_gallery(out / "gallery", faces=faces, seed=seed, workers=workers)
        truths.append(anime.assign(domain="anime"))
        tables.write_file(out / "truth_posts.parquet", posts)
        counts |= {"faces": faces, "posts": len(posts)}
        kinds = posts["copy_kind"].value_counts().sort_index()
        counts |= {f"posts_{kind}": int(n) for kind, n in kinds.items()}
    else:
        _switched_off(out / "gallery", "anime gallery", "faces")
    if photos:
        table = build_celeba(out / "celeba", photos=photos, seed=seed, workers=workers)
        truths.append(table.assign(domain="photos", source="celeba"))
        counts["photos"] = photos
        counts["photos_female"] = int((table["gender"] == "female").sum())
        counts["identities"] = int(table["identity"].nunique())
    else:
        _switched_off(out / "celeba", "CelebA folder", "photos")
    if truths:
        tables.write_file(out / "truth.parquet", _together(truths))
    return counts


def _together(truths: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; what only one domain has is empty in the other."""
    table = pd.concat(truths, ignore_index=True)
    for column in ("face", "character", "identity"):
        if column in table:
            table[column] = table[column].astype("Int64")
    for column in ("of_source", "of_post_id"):
        if column in table:
            table[column] = table[column].fillna("")
    if "mirrored" in table:
        table["mirrored"] = table["mirrored"].eq(True)
    first = ["domain", "source", "post_id"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


def _switched_off(folder: Path, what: str, key: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README").write_text(_OFF.format(what=what, key=key), encoding="utf-8")
